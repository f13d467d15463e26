import { assert, describe, it } from "vitest"
import { find, MAX_NEAR } from "../../../src/domain/Lookup.ts"

const A = { id: "aaaa1111-0000-4000-8000-000000000001", names: ["http://a.example/x", "http://u:p@a.example/x"] }
const B = { id: "aaaa2222-0000-4000-8000-000000000002", names: ["http://b.example/x"] }
const C = { id: "bbbb3333-0000-4000-8000-000000000003", names: ["http://b.example/x"] }
const all = [A, B, C]

describe("find", () => {
  it.each([A.id, A.id.toUpperCase(), "aaaa1", "AAAA1111-0000", "http://a.example/x", "http://u:p@a.example/x"])("%s is one thing", (text) => {
    assert.deepStrictEqual(find(text, all), { _tag: "One", item: A })
  })
  it("several have the beginning of an id, or the URL", () => {
    assert.deepStrictEqual(find("aaaa", all), { _tag: "Several", items: [A, B] })
    assert.deepStrictEqual(find("http://b.example/x", all), { _tag: "Several", items: [B, C] })
  })
  it.each(["aaa", "a", "", "aaaa9", "http://a.example/", "HTTP://A.EXAMPLE/x", "-"])("\"%s\" is none of them", (text) => {
    assert.strictEqual(find(text, all)._tag, "None")
  })
  it("the most alike come first, and not more than a few", () => {
    const found = find("http://a.example/y", all)
    assert.strictEqual(found._tag === "None" ? found.near[0] : undefined, A)
    const many = Array.from({ length: 100 }, (_, n) => ({ id: `${n}`, names: [`http://h${n}/`] }))
    const none = find("http://h7", many)
    assert.strictEqual(none._tag === "None" ? none.near.length : 0, MAX_NEAR)
    assert.strictEqual(none._tag === "None" ? none.near[0]?.id : "", "7")
    assert.deepStrictEqual(find("x", []), { _tag: "None", near: [] })
  })
})

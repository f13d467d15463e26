import { assert, describe, it } from "@effect/vitest"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { Webhook } from "standardwebhooks"
import { inspect } from "node:util"
import * as CustomHeaders from "../../../src/domain/CustomHeaders.ts"
import * as Sending from "../../../src/domain/Sending.ts"
import * as Signature from "../../../src/domain/Signature.ts"
import { signerFor } from "../../../src/layers/http/Signer.ts"

const HOUR_MS = 3_600_000
const secretOf = (n: number, bytes = 32) => Signature.formatSecret(Buffer.alloc(bytes, n))
const content = (secrets: Sending.SendingContent["secrets"]): Sending.SendingContent => ({ ...Sending.empty, secrets })
const current = (secret: string) => ({ secret, expiresAtMs: null })
const signer = (secrets: Sending.SendingContent["secrets"]) => signerFor(Sending.make("1", content(secrets)))!

describe("Signature", () => {
  it("signs the example of the specification", () => {
    const given = signer([current("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")])
    const body = Buffer.from(`{"test": 2432232314}`)
    assert.strictEqual(given.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
  })

  it.prop("what we sign, the package of the specification verifies; nothing else", {
    key: Schema.Uint8Array, text: Schema.String, id: Schema.String
  }, ({ id, key, text }) => {
    const secret = Signature.formatSecret(Buffer.concat([key, Buffer.alloc(24)]).subarray(0, 64))
    const body = JSON.stringify({ text })
    const at = String(Math.floor(Date.now() / 1_000))
    const headers = (signed: string) => ({ "webhook-id": id, "webhook-timestamp": at, "webhook-signature": signed })
    const signed = signer([current(secret), { secret: secretOf(1), expiresAtMs: 0 }]).sign(id, at, Buffer.from(body))
    if (id === "") return
    assert.deepStrictEqual(new Webhook(secret).verify(body, headers(signed)), { text })
    assert.deepStrictEqual(new Webhook(secretOf(1)).verify(body, headers(signed)), { text })
    assert.throws(() => new Webhook(secretOf(2)).verify(body, headers(signed)))
    assert.throws(() => new Webhook(secret).verify(`${body} `, headers(signed)))
  })

  it("takes secrets of 24 to 64 bytes in base64, and says what is wrong without showing any", () => {
    for (const bytes of [24, 25, 32, 64]) {
      const text = secretOf(7, bytes)
      assert.deepStrictEqual(Buffer.from(Result.getOrThrow(Signature.parseSecret(text))), Buffer.alloc(bytes, 7))
      assert.isTrue(Result.isSuccess(Signature.parseSecret(text.replace(/=+$/, ""))))
    }
    const bad: ReadonlyArray<readonly [string, RegExp]> = [
      ["", /begin with whsec_/], [secretOf(7).slice(6), /begin with whsec_/], ["whsec_", /0 bytes/], [secretOf(7, 23), /23 bytes/],
      [secretOf(7, 65), /65 bytes/], [`whsec_s3cret!${secretOf(7).slice(6)}`, /not base64/], [`${secretOf(7)}\n`, /not base64/]
    ]
    for (const [text, problem] of bad) {
      const error = Result.getFailure(Signature.parseSecret(text))
      assert.match(inspect(error), problem, text)
      assert.notInclude(inspect(error), "s3cret")
    }
  })

  it("an old secret signs until its end, the newest first", () => {
    const now = Date.now()
    const both = signer([current(secretOf(2)), { secret: secretOf(1), expiresAtMs: now + HOUR_MS }])
    const [one, two] = [1, 2].map((n) => signer([current(secretOf(n))]).sign("id", "1", Buffer.from("x")))
    both.expire(now + HOUR_MS - 1)
    assert.strictEqual(both.sign("id", "1", Buffer.from("x")), `${two} ${one}`)
    both.expire(now + HOUR_MS)
    assert.strictEqual(both.sign("id", "1", Buffer.from("x")), two)
  })
})

describe("Sending", () => {
  const rotate = (from: Sending.SendingContent, n: number, nowMs: number, overlapSeconds = 3_600) =>
    Sending.rotate(from, secretOf(n), nowMs, overlapSeconds)!

  it("a rotation keeps the secret before for the overlap, and earlier ones until their end", () => {
    const first = rotate(Sending.empty, 1, 0)
    assert.deepStrictEqual(first.secrets, [current(secretOf(1))])
    const third = rotate(rotate(first, 2, 1_000), 3, 2_000)
    assert.deepStrictEqual(third.secrets, [
      current(secretOf(3)), { secret: secretOf(2), expiresAtMs: 2_000 + HOUR_MS }, { secret: secretOf(1), expiresAtMs: 1_000 + HOUR_MS }
    ])
    assert.deepStrictEqual(rotate(third, 4, 1_500 + HOUR_MS).secrets.map(({ secret }) => secret), [secretOf(4), secretOf(3), secretOf(2)])
  })

  it("an overlap of 0 ends all earlier ones; a rotation to the secret that is there changes nothing", () => {
    const two = rotate(rotate(Sending.empty, 1, 0), 2, 0)
    assert.deepStrictEqual(rotate(two, 3, 10, 0).secrets, [current(secretOf(3))])
    assert.deepStrictEqual(rotate(two, 2, 0).secrets, two.secrets)
  })

  it("no more than so many count at once", () => {
    let at = Sending.empty
    for (let n = 1; n <= Sending.MAX_SECRETS; n++) at = rotate(at, n, 0)
    assert.isUndefined(Sending.rotate(at, secretOf(9), 0, 60))
    assert.strictEqual(rotate(at, 9, HOUR_MS).secrets.length, 2)
  })

  it("shows nothing of itself", () => {
    const sending = Sending.make("1", { ...content([current(secretOf(1))]), auth: { type: "bearer", token: "t0ken" } })
    for (const shown of [inspect(sending, { depth: 9, showHidden: true }), JSON.stringify(sending), String(sending.content)]) {
      assert.notMatch(shown, /whsec|t0ken/)
    }
    assert.strictEqual(Redacted.value(sending.content).auth?.type, "bearer")
  })
})

describe("CustomHeaders", () => {
  const names = (headers: Record<string, string>) => CustomHeaders.problems(headers).map(({ name }) => name)

  it("takes what a receiver may ask for", () => {
    assert.deepStrictEqual(CustomHeaders.problems({ "X-Api-Key": "a b\tc", traceparent: "00-1", accept: "*/*", cookie: "a=b" }), [])
  })

  it("refuses ours, those of the connection, and what would break the request", () => {
    for (const name of ["Host", "webhook-id", "Webhook-Signature", "content-type", "Content-Length", "Authorization", "Connection",
      "Transfer-Encoding", "proxy-authorization", "user-agent", "te", "upgrade", "", "a b", "a:b", "ü", "a\r\nb"]) {
      assert.deepStrictEqual(names({ [name]: "s3cret" }), [name])
    }
    for (const value of ["", " a", "a ", "a\r\nx: y", "a\nb", "a\0b", "ü"]) {
      const found = CustomHeaders.problems({ a: value })
      assert.strictEqual(found.length, 1, JSON.stringify(value))
    }
    assert.notInclude(JSON.stringify(CustomHeaders.problems({ a: "s3cret\n" })), "s3cret")
    assert.deepStrictEqual(names({ "X-A": "1", "x-a": "2" }), ["x-a"])
  })

  it("is bounded in number and bytes", () => {
    const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, n) => [`h${n}`, "v"]))
    assert.deepStrictEqual(names(many(20)), [])
    assert.deepStrictEqual(names(many(21)), [undefined])
    assert.deepStrictEqual(names({ a: "x".repeat(4_095) }), [])
    assert.deepStrictEqual(names({ a: "x".repeat(4_096) }), [undefined])
  })
})

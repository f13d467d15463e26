import { assert, it } from "vitest"
import { make, routeOf, routes } from "../../../src/layers/http/ApiRoutes.ts"

it("takes paths and methods from the definition of the API", () => {
  const known = new Map(routes.map(({ methods, template }) => [template, methods.join(", ")]))
  assert.strictEqual(known.get("/webhooks/subscribe"), "POST")
  assert.strictEqual(known.get("/webhooks/endpoints/{id}/rotate-secret"), "POST")
  assert.strictEqual(known.get("/docs"), "GET, HEAD")
})

it("a parameter is one segment, and no template", () => {
  const at = (path: string) => routeOf(path)?.template
  assert.strictEqual(at("/webhooks/endpoints/7"), "/webhooks/endpoints/{id}")
  assert.strictEqual(at("/webhooks/endpoints/a%2Fb"), "/webhooks/endpoints/{id}")
  for (const path of ["/webhooks/endpoints/", "/webhooks/endpoints/7/8", "/webhooks/endpoints/7/", "/webhooks/endpoints/{id", "/webhooksXendpoints"]) {
    assert.isUndefined(at(path), path)
  }
})

it("methods of one path are together, and GET is HEAD too", () => {
  const [route] = make([["GET", "/a.b/:x"], ["DELETE", "/a.b/:x"]])
  assert.deepStrictEqual([route!.template, route!.methods], ["/a.b/{x}", ["GET", "HEAD", "DELETE"]])
  assert.isTrue(route!.matches("/a.b/1"))
  assert.isFalse(route!.matches("/aXb/1"))
})

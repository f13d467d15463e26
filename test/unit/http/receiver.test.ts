/** The tutorial's receiver and the example of one: run as a user runs them. */
import { Webhook } from "standardwebhooks"
import { afterEach, assert, describe, it } from "vitest"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { readFileSync } from "node:fs"
import { type AddressInfo, connect } from "node:net"
import { gzipSync } from "node:zlib"
import { makeReceiver } from "../../../examples/receiver/receiver.ts"
import { MAX_BODY_BYTES, pretty, type Received, startReceiver } from "../../../tools/webhook/Receiver.ts"

const closing: Array<() => Promise<unknown> | void> = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

const post = (url: string, body: string, headers: Record<string, string> = {}) =>
  fetch(url, { method: "POST", body, headers: { "content-type": "application/json", ...headers } })

describe("tools/webhook", () => {
  const started = async () => {
    const events: Array<Received> = []
    const receiver = await startReceiver({ port: 0, onEvent: (event) => events.push(event) })
    closing.push(receiver.close)
    return { events, url: `http://127.0.0.1:${receiver.port}`, receiver }
  }

  it("hands on each body as it came, and answers 200", async () => {
    const { events, url } = await started()
    const body = `{"Data":{"x":"ü","n":12345678901234567890}}`
    assert.strictEqual((await post(`${url}/webhook`, body, { "webhook-id": "1" })).status, 200)
    assert.strictEqual(events.length, 1)
    assert.deepInclude(events[0]!, { path: "/webhook", body })
    assert.strictEqual(events[0]!.headers["webhook-id"], "1")
  })

  it("opens what is compressed, within its bound", async () => {
    const { events, url } = await started()
    const gzip = (body: Buffer) => fetch(url, { method: "POST", body: new Uint8Array(body), headers: { "content-encoding": "gzip" } })
    assert.strictEqual((await gzip(gzipSync(`{"Data":"ü"}`))).status, 200)
    assert.strictEqual((await gzip(Buffer.from("no gzip"))).status, 400)
    assert.strictEqual((await gzip(gzipSync(Buffer.alloc(MAX_BODY_BYTES + 1)))).status, 400)
    assert.deepStrictEqual(events.map(({ body }) => body), [`{"Data":"ü"}`])
  })

  it("takes POST only, and no body beyond its bound", async () => {
    const { events, receiver, url } = await started()
    const get = await fetch(`${url}/webhook`)
    assert.deepStrictEqual([get.status, get.headers.get("allow")], [405, "POST"])
    const socket = connect(receiver.port, "127.0.0.1")
    const answer = once(socket, "data")
    socket.write(`POST /webhook HTTP/1.1\r\nhost: a\r\ncontent-length: ${MAX_BODY_BYTES + 1}\r\n\r\n`)
    const piece = Buffer.alloc(1024 * 1024)
    for (let n = 0; n < 64; n++) socket.write(piece)
    socket.write("x")
    assert.match(String((await answer)[0]), /^HTTP\/1.1 413 /)
    socket.destroy()
    assert.deepStrictEqual(events, [])
  })

  it("a port that is taken is a rejection", async () => {
    const { receiver } = await started()
    const error = await startReceiver({ port: receiver.port, onEvent: () => undefined }).then(() => undefined, (reason: unknown) => reason)
    assert.include(String(error), "EADDRINUSE")
  })

  it("pretty keeps every digit, and leaves alone what is no JSON", () => {
    assert.strictEqual(pretty(`{"a":[1,{"b":"x, {y}: \\"z\\""}],"c":{},"d":[]}`), JSON.stringify({ a: [1, { b: `x, {y}: "z"` }], c: {}, d: [] }, null, 2))
    assert.strictEqual(pretty(`{"n":12345678901234567890,"m":1.10}`), `{\n  "n": 12345678901234567890,\n  "m": 1.10\n}`)
    assert.strictEqual(pretty("no json"), "no json")
  })
})

const runTool = async (...args: ReadonlyArray<string>) => {
  const child = spawn(process.execPath, ["tools/webhook/main.ts", "--port", "0", ...args], { stdio: ["ignore", "pipe", "pipe"] })
  closing.push(() => void child.kill("SIGKILL"))
  let [out, err] = ["", ""]
  child.stdout.on("data", (part) => (out += String(part)))
  child.stderr.on("data", (part) => (err += String(part)))
  while (!err.includes("\n")) await once(child.stderr, "data")
  const port = /^listening on :(\d+)\.\.\.\n/.exec(err)?.[1]
  return { child, url: `http://127.0.0.1:${port}/webhook`, err: () => err, out: () => out }
}

const ended = async (child: ChildProcess): Promise<number | null> => {
  const [code] = child.exitCode === null ? await once(child, "exit") : [child.exitCode]
  return code as number | null
}

describe("npm run webhook", () => {
  it("prints events on stdout, indented, and ends with 0 on SIGTERM", async () => {
    const { child, out, url } = await runTool()
    await post(url, `{"Data":{"action":"I"}}`)
    child.kill("SIGTERM")
    assert.strictEqual(await ended(child), 0)
    assert.strictEqual(out(), `{\n  "Data": {\n    "action": "I"\n  }\n}\n`)
  })

  it("--compact prints one line each, and SIGINT ends it", async () => {
    const { child, out, url } = await runTool("--compact")
    await post(url, `{"Data":1}`)
    await post(url, `{"Data":2}`)
    child.kill("SIGINT")
    assert.strictEqual(await ended(child), 0)
    assert.strictEqual(out(), `{"Data":1}\n{"Data":2}\n`)
  })

  it("says what is wrong with a port", async () => {
    const child = spawn(process.execPath, ["tools/webhook/main.ts", "--port", "http"], { stdio: ["ignore", "ignore", "pipe"] })
    let err = ""
    child.stderr.on("data", (part) => (err += String(part)))
    assert.strictEqual(await ended(child), 2)
    assert.include(err, `"http" is no port`)
  })
})

describe("examples/receiver", () => {
  const started = async (secret?: string) => {
    const applied: Array<unknown> = []
    const server = makeReceiver((event) => {
      if (JSON.stringify(event).includes("poison")) throw new Error("cannot be applied")
      applied.push(event)
    }, secret)
    server.listen(0, "127.0.0.1")
    await once(server, "listening")
    closing.push(() => {
      server.close()
      server.closeAllConnections()
    })
    return { applied, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` }
  }

  it("applies each id once, and accepts what comes again", async () => {
    const { applied, url } = await started()
    for (const id of ["a", "b", "a", "a"]) {
      assert.strictEqual((await post(url, JSON.stringify({ id }), { "webhook-id": id })).status, 204)
    }
    assert.deepStrictEqual(applied, [{ id: "a" }, { id: "b" }])
  })

  it("what it cannot apply is asked for again, and applied then", async () => {
    const { applied, url } = await started()
    assert.strictEqual((await post(url, `{"poison":1}`, { "webhook-id": "p" })).status, 500)
    assert.strictEqual((await post(url, `{"fine":1}`, { "webhook-id": "p" })).status, 204)
    assert.deepStrictEqual(applied, [{ fine: 1 }])
  })

  it("refuses what is not from pgstream", async () => {
    const { applied, url } = await started()
    assert.strictEqual((await post(url, "{}")).status, 400)
    assert.strictEqual((await fetch(url, { headers: { "webhook-id": "a" } })).status, 400)
    assert.strictEqual((await post(url, "no json", { "webhook-id": "x" })).status, 400)
    assert.deepStrictEqual(applied, [])
  })

  it("with a secret, takes what was signed with it, now, and nothing else", async () => {
    const [secret, other] = [1, 2].map((n) => `whsec_${Buffer.alloc(32, n).toString("base64")}`) as [string, string]
    const { applied, url } = await started(secret)
    const body = JSON.stringify({ Data: { x: "ü" } })
    const signedBy = (by: string, atMs = Date.now(), text = body) => ({
      "webhook-id": "s", "webhook-timestamp": String(Math.floor(atMs / 1_000)), "webhook-signature": new Webhook(by).sign("s", new Date(atMs), text)
    })
    for (const headers of [{ "webhook-id": "s" }, signedBy(other), signedBy(secret, Date.now() - 600_000), signedBy(secret, Date.now(), "{}")]) {
      assert.strictEqual((await post(url, body, headers)).status, 400)
    }
    assert.deepStrictEqual(applied, [])
    assert.strictEqual((await post(url, body, signedBy(secret))).status, 204)
    assert.deepStrictEqual(applied, [{ Data: { x: "ü" } }])
  })

  it("of a batch applies each item once, by the item's own id; compressed or not, its signature is over the plain bytes", async () => {
    const secret = `whsec_${Buffer.alloc(32, 3).toString("base64")}`
    const { applied, url } = await started(secret)
    const send = (id: string, value: unknown, gzip = false) => {
      const text = JSON.stringify(value)
      const now = new Date()
      return fetch(url, {
        method: "POST", body: gzip ? gzipSync(text) : text,
        headers: {
          "webhook-id": id, "webhook-timestamp": String(Math.floor(now.getTime() / 1_000)), "webhook-signature": new Webhook(secret).sign(id, now, text),
          ...(gzip ? { "content-encoding": "gzip" } : {})
        }
      })
    }
    const item = (id: string, event: unknown = { n: id }) => ({ id, timestamp: 1, event })
    assert.strictEqual((await send("b-1-2", [item("1"), item("2")], true)).status, 204)
    assert.strictEqual((await send("2", { n: "2" })).status, 204)
    assert.strictEqual((await send("b-2-3", [item("2"), item("3"), item("4", "poison"), item("5")])).status, 500)
    assert.deepStrictEqual(applied, [{ n: "1" }, { n: "2" }, { n: "3" }])
    assert.strictEqual((await send("3", { n: "3" }, true)).status, 204)
    assert.strictEqual((await send("5", { n: "5" })).status, 204)
    assert.deepStrictEqual(applied, [{ n: "1" }, { n: "2" }, { n: "3" }, { n: "5" }])
    assert.strictEqual((await fetch(url, { method: "POST", body: "no gzip", headers: { "webhook-id": "x", "content-encoding": "gzip" } })).status, 400)
  })

  it("is short enough to be read", () => {
    assert.isBelow(readFileSync("examples/receiver/receiver.ts", "utf8").split("\n").length, 80)
  })
})

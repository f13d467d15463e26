import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { HttpResponse, MAX_HEAD_BYTES, MAX_INTERIM, type Progress } from "../../../src/domain/HttpResponse.ts"

interface Read {
  readonly progress: Progress
  readonly status: number
  readonly body: string
  readonly retryAfter: string | undefined
  readonly keepAlive: boolean
  readonly keepAliveMs: number
  /** Bytes behind the answer. */
  readonly left: number
  readonly problem: string | undefined
}

/** `cuts`: sizes of the pieces, over and over. */
const read = (text: string, cuts: ReadonlyArray<number> = []): Read => {
  const bytes = Buffer.from(text, "latin1")
  const parts: Array<string> = []
  const response = new HttpResponse((piece, from, to) => parts.push(Buffer.from(piece.subarray(from, to)).toString("latin1")))
  let [progress, at, cut]: [Progress, number, number] = ["more", 0, 0]
  // Pieces come in one buffer that is used again, as those of a socket.
  const shared = Buffer.alloc(bytes.length + 8, "\r\n")
  while (at < bytes.length && progress === "more") {
    const size = Math.min(bytes.length - at, cuts.length === 0 ? bytes.length : Math.max(1, cuts[cut++ % cuts.length]!))
    bytes.copy(shared, 0, at, at + size)
    progress = response.push(shared, size)
    at += progress === "done" ? response.consumed : size
    shared.fill("\r\n")
  }
  return {
    progress, status: response.status, body: parts.join(""), retryAfter: response.retryAfter, problem: response.problem,
    keepAlive: response.keepAlive, keepAliveMs: response.keepAliveMs, left: progress === "done" ? bytes.length - at : 0
  }
}

const OK = "HTTP/1.1 200 OK\r\n"

describe("HttpResponse", () => {
  it("ends an answer where its length says", () => {
    const { left, ...rest } = read(`${OK}Content-Length: 5\r\nRetry-After: \t 7 \r\nKeep-Alive: timeout=5, max=100\r\n\r\nhelloHTTP/1.1`)
    assert.deepStrictEqual(rest, {
      progress: "done", status: 200, body: "hello", retryAfter: "7", keepAlive: true, keepAliveMs: 5_000, problem: undefined
    })
    assert.strictEqual(left, 8)
  })

  const whole: ReadonlyArray<readonly [string, string, string]> = [
    ["no body with 204, whatever it says", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", ""],
    ["no body with 304", "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", ""],
    ["a status without a reason", "HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx", "x"],
    ["a status with an empty reason", "HTTP/1.1 200 \r\nContent-Length: 1\r\n\r\nx", "x"],
    ["HTTP/1.0 with a length", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", "x"],
    ["chunks", `${OK}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n00A;x="y"\r\n0123456789\r\n0\r\n\r\n`, "abc0123456789"],
    ["chunks with trailers", `${OK}Transfer-Encoding: Chunked\r\n\r\n1 ; a\r\nx\r\n0\r\nA: b\r\nC: d\r\n\r\n`, "x"],
    ["an encoding before chunked", `${OK}Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n`, "x"],
    ["interim answers", `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${OK}Content-Length: 0\r\n\r\n`, ""],
    ["fields without a value, and unknown ones", `${OK}X-A:\r\nX-B:  \t\r\nX-C: \xff\r\nContent-Length:2\r\n\r\nok`, "ok"]
  ]
  for (const [name, text, body] of whole) {
    it(`reads ${name}, and no byte beyond it, in pieces of any size`, () => {
      for (let size = 1; size <= text.length + 4; size++) {
        const found = read(`${text}next`, [size])
        assert.deepStrictEqual([found.progress, found.body], ["done", body], `pieces of ${size}`)
      }
      assert.strictEqual(read(`${text}next`).left, 4)
      assert.strictEqual(read(text.slice(0, -1)).progress, "more")
    })
  }

  it("a body without a length ends with the connection", () => {
    for (const head of [OK, "HTTP/1.0 200 OK\r\n", `${OK}Transfer-Encoding: gzip\r\n`]) {
      assert.strictEqual(read(`${head}\r\nabc`).progress, "more")
      const found = read(`${head}\r\nabc`, [2])
      assert.deepStrictEqual([found.status, found.body, found.keepAlive], [200, "abc", false])
    }
  })

  it("knows whether another request may follow", () => {
    const keeps = (head: string) => read(`${head}Content-Length: 0\r\n\r\n`).keepAlive
    assert.isTrue(keeps(OK))
    assert.isTrue(keeps(`${OK}Connection: Keep-Alive\r\n`))
    assert.isTrue(keeps("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n"))
    for (const head of ["HTTP/1.0 200 OK\r\n", `${OK}Connection: close\r\n`, `${OK}Connection: x, Close\r\n`, `${OK}Connection: keep-alive\r\nconnection:close\r\n`]) {
      assert.isFalse(keeps(head), head)
    }
  })

  const bad: ReadonlyArray<readonly [string, string]> = [
    ["another protocol", "SSH-2.0-OpenSSH_9.2\r\n\r\n"],
    ["HTTP/2", "HTTP/2 200\r\n\r\n"],
    ["HTTP/1.2", "HTTP/1.2 200 OK\r\n\r\n"],
    ["an empty line first", `\r\n${OK}\r\n`],
    ["a status of two digits", "HTTP/1.1 20 OK\r\n\r\n"],
    ["a status of four digits", "HTTP/1.1 2000 OK\r\n\r\n"],
    ["a status below 100", "HTTP/1.1 099 OK\r\n\r\n"],
    ["two blanks", "HTTP/1.1  200 OK\r\n\r\n"],
    ["switching protocols", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"],
    ["a field without a colon", `${OK}Content-Length\r\n\r\n`],
    ["a field without a name", `${OK}: x\r\n\r\n`],
    ["a blank before the colon", `${OK}Content-Length : 1\r\n\r\nx`],
    ["a folded field", `${OK}X: a\r\n b\r\n\r\n`],
    ["a bare LF", `${OK}X: a\nContent-Length: 0\r\n\r\n`],
    ["a bare CR", `${OK}X: a\rContent-Length: 0\r\n\r\n`],
    ["a NUL", `${OK}X: a\0\r\nContent-Length: 0\r\n\r\n`],
    ["two lengths", `${OK}Content-Length: 1\r\nContent-Length: 1\r\n\r\nx`],
    ["a list of lengths", `${OK}Content-Length: 1, 1\r\n\r\nx`],
    ["a length with a sign", `${OK}Content-Length: +1\r\n\r\nx`],
    ["a length in hex", `${OK}Content-Length: 0x1\r\n\r\nx`],
    ["an empty length", `${OK}Content-Length: \r\n\r\nx`],
    ["a length with a no-break space", `${OK}Content-Length: \xa01\r\n\r\nx`],
    ["a length of 16 digits", `${OK}Content-Length: 9007199254740992\r\n\r\nx`],
    ["a length and chunks", `${OK}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n`],
    ["chunked twice", `${OK}Transfer-Encoding: chunked, chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n`],
    ["chunked and then another encoding", `${OK}Transfer-Encoding: chunked, gzip\r\n\r\n1\r\nx\r\n0\r\n\r\n`],
    ["chunks in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"],
    ...["\r\n", "-1\r\nx", "g\r\n", "0x1\r\nx", "1\nx", "1\rx", "1\r\nxy\r\n", "1\r\nx\n", "1;\nx", "00000000000001\r\nx", "1 2\n", "0\r\n\n", "0\r\na\n"].map(
      (chunk) => [`a chunk ${JSON.stringify(chunk)}`, `${OK}Transfer-Encoding: chunked\r\n\r\n${chunk}`] as const
    )
  ]
  for (const [name, text] of bad) {
    it(`${name} is no answer, in pieces of any size`, () => {
      for (let size = 1; size <= text.length; size++) {
        const found = read(text, [size])
        assert.deepStrictEqual([found.progress, found.problem], ["bad", "answer is not HTTP"], `pieces of ${size}`)
      }
    })
  }

  it("another protocol is told by its first byte", () => {
    assert.strictEqual(read("S").progress, "bad")
    assert.strictEqual(read("HTTP/").progress, "more")
    assert.strictEqual(read("HTTX").progress, "bad")
  })

  it("holds to the bounds of heads, trailers, chunk lines and interim answers", () => {
    const filler = `X: ${"x".repeat(MAX_HEAD_BYTES)}\r\n`
    for (const cuts of [[], [1_000], [1]]) {
      assert.strictEqual(read(`${OK}${filler}\r\n`, cuts).problem, "headers of the answer are too long")
      assert.strictEqual(
        read(`${OK}Transfer-Encoding: chunked\r\n\r\n0\r\n${filler}\r\n`, cuts).problem, "headers of the answer are too long"
      )
      assert.strictEqual(read(`${OK}Transfer-Encoding: chunked\r\n\r\n1;${"x".repeat(1_100)}\r\nx`, cuts).problem, "answer is not HTTP")
    }
    const fitting = `${OK}Content-Length: 0\r\nX: `
    const head = `${fitting}${"x".repeat(MAX_HEAD_BYTES - fitting.length - 4)}\r\n\r\n`
    assert.strictEqual(head.length, MAX_HEAD_BYTES)
    for (const cuts of [[], [1_000], [1], [MAX_HEAD_BYTES - 1]]) assert.strictEqual(read(head, cuts).progress, "done")
    const interim = "HTTP/1.1 102 Processing\r\n\r\n"
    assert.strictEqual(read(`${interim.repeat(MAX_INTERIM)}${OK}Content-Length: 0\r\n\r\n`).progress, "done")
    assert.strictEqual(read(interim.repeat(MAX_INTERIM + 1)).problem, "too many interim answers")
  })

  it("reads a head that is the last one but for a byte, and remembers none that is bad or interim alone", () => {
    const response = new HttpResponse(() => undefined)
    const answers = [
      "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 500 OK\r\nContent-Length: 0\r\n\r\n",
      "HTTP/1.1 100 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 429 OK\r\nRetry-After: 13\r\ncontent-length:0\r\n\r\n",
      "HTTP/1.1 429 OK\r\nRetry-After: 14\r\ncontent-length:0\r\n\r\n", `HTTP/1.1 503 OK\r\nx: ${"y".repeat(2_000)}\r\nconnection: close\r\n\r\n`,
      "HTTP/1.1 429 OK\r\nRetry-After: 14\r\ncontent-length:0\r\n\r\n", "HTTP/1.1 204 OK\r\n\r\n"
    ]
    const seen = answers.map((text) => {
      response.reset()
      // The memory is written to again.
      const shared = Buffer.from(text, "latin1")
      const progress = response.push(shared)
      shared.fill(0)
      return [progress, response.status, response.retryAfter, response.keepAlive]
    })
    assert.deepStrictEqual(seen, [
      ["done", 200, undefined, true], ["done", 200, undefined, true], ["done", 500, undefined, true], ["done", 429, "13", true],
      ["done", 429, "14", true], ["more", 503, undefined, false], ["done", 429, "14", true], ["done", 204, undefined, true]
    ])
    response.reset()
    assert.strictEqual(response.push(Buffer.from("HTTP/1.1 2o4 OK\r\n\r\n")), "bad")
    response.reset()
    assert.strictEqual(response.push(Buffer.from("HTTP/1.1 2o4 OK\r\n\r\n")), "bad")
  })

  it("can be used again", () => {
    const bodies: Array<string> = []
    const response = new HttpResponse((bytes, from, to) => bodies.push(Buffer.from(bytes.subarray(from, to)).toString()))
    for (const text of [`HTTP/1.1 503 No\r\nRetry-After: 1\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: y\r\n\r\n`, `${OK}Content-Length: 1\r\n\r\nb`]) {
      response.reset()
      assert.isFalse(response.begun)
      for (const byte of Buffer.from(text)) response.push(Uint8Array.of(byte))
    }
    assert.deepStrictEqual([response.status, response.retryAfter, response.keepAlive, bodies.join("")], [200, undefined, true, "ab"])
  })

  const Size = Schema.Int.pipe(Schema.check(Schema.isBetween({ minimum: 1, maximum: 40 })))
  const Answer = Schema.Struct({
    status: Schema.Int.pipe(Schema.check(Schema.isBetween({ minimum: 200, maximum: 599 }))),
    body: Schema.String, chunks: Schema.Array(Size), framing: Schema.Literals(["length", "chunked", "close"]),
    fields: Schema.Array(Schema.Literals(["Date: x", "x-a:", "Keep-Alive: timeout=9", "Retry-After: 3", "connection: close"])),
    trailers: Schema.Array(Schema.Literals(["A: b", "c:"])), interim: Schema.Literals(["", "HTTP/1.1 100 Continue\r\nA: b\r\n\r\n"])
  })

  const chunked = (body: string, sizes: ReadonlyArray<number>, trailers: ReadonlyArray<string>): string => {
    let [text, at, n] = ["", 0, 0]
    while (at < body.length) {
      const part = body.slice(at, at + (sizes[n++ % Math.max(sizes.length, 1)] ?? 7))
      text += `${part.length.toString(16)}\r\n${part}\r\n`
      at += part.length
    }
    return `${text}0\r\n${trailers.map((one) => `${one}\r\n`).join("")}\r\n`
  }

  it.prop("reads what was written, in any pieces, and leaves what follows", {
    answer: Answer, cuts: Schema.Array(Size), next: Schema.String
  }, ({ answer, cuts, next }) => {
    const body = answer.status === 204 || answer.status === 304 ? "" : Buffer.from(answer.body).toString("latin1")
    const framing = answer.status === 204 || answer.status === 304 ? "length" : answer.framing
    const field = { length: `Content-Length: ${body.length}\r\n`, chunked: "Transfer-Encoding: chunked\r\n", close: "" }[framing]
    const fields = [...new Set(answer.fields)]
    const head = `${answer.interim}HTTP/1.1 ${answer.status} Some Reason\r\n${fields.map((one) => `${one}\r\n`).join("")}${field}\r\n`
    const behind = framing === "close" ? "" : Buffer.from(next).toString("latin1")
    const text = `${head}${framing === "chunked" ? chunked(body, answer.chunks, answer.trailers) : body}`
    const found = read(text + behind, cuts)
    assert.deepStrictEqual(
      { ...found, left: 0 },
      {
        progress: framing === "close" ? "more" : "done", status: answer.status, body, left: 0, problem: undefined,
        retryAfter: fields.includes("Retry-After: 3") ? "3" : undefined,
        keepAlive: framing !== "close" && !fields.includes("connection: close"),
        keepAliveMs: fields.includes("Keep-Alive: timeout=9") ? 9_000 : Infinity
      }
    )
    assert.strictEqual(found.left, behind.length)
  }, { arbitrary: { runs: 2_000 } })

  it.prop("takes any bytes, ends on the same verdict however they are cut, and hands on no more than came", {
    pieces: Schema.Array(Schema.Literals([
      OK, "HTTP/1.1 ", "200", " ", "\r\n", "\r", "\n", "Content-Length: ", "Transfer-Encoding: chunked", "3", "0", "a", ":", ";", "\0", "\r\n\r\n", "HTTP/1.1 100 x\r\n\r\n"
    ])),
    cuts: Schema.Array(Size)
  }, ({ cuts, pieces }) => {
    const text = pieces.join("")
    const [a, b] = [read(text), read(text, cuts)]
    assert.deepStrictEqual([a.progress, a.status, a.left], [b.progress, b.status, b.left])
    if (a.progress !== "bad") assert.strictEqual(a.body, b.body)
    assert.isAtMost(a.body.length, text.length)
  }, { arbitrary: { runs: 3_000 } })
})

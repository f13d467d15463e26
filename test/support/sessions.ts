/** Sessions of a user, as psql processes: several at once, and what they printed on stderr. */
import { spawn, spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { inject } from "vitest"

export interface Outcome {
  readonly ok: boolean
  readonly out: string
  /** Warnings and errors of the server. */
  readonly messages: string
}

const psqlPath = () => {
  const own = join(inject("postgresBin"), "psql")
  return existsSync(own) ? own : "psql"
}

const args = (database: string, user: string, port = inject("postgresPort")) => ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1",
  "-p", String(port), "-U", user, "-d", database, "-f", "-"]

/** Runs `sql` in one session and waits for its end. Every session of a test has `lock_timeout = 1s`. */
export const session = (database: string, sql: string, user = "postgres"): Outcome => {
  const run = spawnSync(psqlPath(), args(database, user), { input: `SET lock_timeout = '1s';\n${sql}\n`, encoding: "utf8" })
  return { ok: run.status === 0, out: run.stdout.trim(), messages: run.stderr.trim() }
}

/** Starts a session that runs `sql`; several run at the same time. */
export const startSession = (database: string, sql: string): Promise<Outcome> =>
  new Promise((resolve) => {
    const child = spawn(psqlPath(), args(database, "postgres"), { stdio: ["pipe", "pipe", "pipe"] })
    const out: Array<string> = []
    const messages: Array<string> = []
    child.stdout.setEncoding("utf8").on("data", (text: string) => out.push(text))
    child.stderr.setEncoding("utf8").on("data", (text: string) => messages.push(text))
    child.on("close", (code) => resolve({ ok: code === 0, out: out.join("").trim(), messages: messages.join("").trim() }))
    child.stdin.end(`SET lock_timeout = '1s';\n${sql}\n`)
  })

/** A session that stays open: statements one after the other, each awaited. */
export class OpenSession {
  readonly #child
  #buffer = ""
  #count = 0

  /** `port`: of another server than the shared one; what it says when that one is killed is expected, and not shown. */
  constructor(database: string, port?: number) {
    this.#child = spawn(psqlPath(), args(database, "postgres", port), { stdio: ["pipe", "pipe", port === undefined ? "inherit" : "ignore"] })
    this.#child.stdin.on("error", () => undefined)
    this.#child.stdout.setEncoding("utf8").on("data", (text: string) => {
      this.#buffer += text
    })
  }

  /** Resolves with its output when the statement has ended; rejects when the session ended instead. */
  async run(sql: string): Promise<string> {
    const mark = `-- done ${++this.#count}`
    this.#buffer = ""
    this.#child.stdin.write(`${sql}\n\\echo '${mark}'\n`)
    while (!this.#buffer.includes(mark)) {
      if (this.#child.exitCode !== null) throw new Error(`The session ended at: ${sql}`)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    return this.#buffer.slice(0, this.#buffer.indexOf(mark)).trim()
  }

  end(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#child.exitCode !== null) return resolve()
      this.#child.once("close", () => resolve())
      this.#child.stdin.end()
    })
  }
}

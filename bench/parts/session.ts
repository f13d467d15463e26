/**
 * A session of psql that stays open: asking often does not start a process each time. One statement after the other.
 */
import { spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import { existsSync } from "node:fs"
import { join } from "node:path"
import type { PostgresServer } from "../../test/support/PostgresServer.ts"

export interface Session {
  /** What the statements print, one row a line, columns with `|` between. */
  ask(sql: string): Promise<string>
  end(): void
}

export const psqlOf = (bin: string): string => (existsSync(join(bin, "psql")) ? join(bin, "psql") : "psql")

export const openSession = (server: PostgresServer, database: string): Session => {
  const child = spawn(psqlOf(server.bin), ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", String(server.port), "-U", "postgres", "-d", database], { stdio: ["pipe", "pipe", "pipe"] })
  let [out, errors] = ["", ""]
  let waiting: { readonly mark: string; readonly resolve: (text: string) => void; readonly reject: (error: Error) => void } | undefined
  child.stderr.setEncoding("utf8").on("data", (text: string) => { errors = (errors + text).slice(-4000) })
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    out += text
    const at = waiting === undefined ? -1 : out.indexOf(waiting.mark)
    if (at < 0) return
    const [found, { mark, resolve }] = [out.slice(0, at), waiting!]
    out = out.slice(at + mark.length + 1)
    waiting = undefined
    resolve(found.trim())
  })
  child.once("close", () => waiting?.reject(new Error(`psql ended: ${errors}`)))
  return {
    ask: (sql) =>
      new Promise((resolve, reject) => {
        if (child.exitCode !== null) return reject(new Error(`psql ended: ${errors}`))
        const mark = `-- ${randomBytes(8).toString("hex")}`
        waiting = { mark, resolve, reject }
        child.stdin.write(`${sql}\n;\n\\echo '${mark}'\n`)
      }),
    end: () => void child.stdin.end("\\q\n")
  }
}

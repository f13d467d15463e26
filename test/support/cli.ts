/** Runs our command line from its sources, as a process of its own. */
import { spawn, type ChildProcess } from "node:child_process"
import { join } from "node:path"

const main = join(import.meta.dirname, "../../src/main.ts")

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Running {
  readonly child: ChildProcess
  stdout(): string
  stderr(): string
  readonly ended: Promise<Ended>
}

/** The environment of the tests without what would configure us. */
export const cleanEnv = (more: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv => ({
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("PG") && !/_proxy$/i.test(name))), ...more
})

export const launch = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}, cwd = process.cwd(), entry = main): Running => {
  const child = spawn(process.execPath, [entry, ...args], { cwd, env: cleanEnv(env), stdio: ["ignore", "pipe", "pipe"] })
  let out = ""
  let err = ""
  child.stdout.setEncoding("utf8").on("data", (text: string) => { out += text })
  child.stderr.setEncoding("utf8").on("data", (text: string) => { err += text })
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once("error", reject)
    child.once("close", (code) => resolve({ code, stdout: out, stderr: err }))
  })
  return { child, stdout: () => out, stderr: () => err, ended }
}

export const pgstream = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}): Promise<Ended> =>
  launch(args, env).ended

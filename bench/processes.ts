/** Processes that a bench starts: the receiver, and others of which the CPU time is asked. */
import { type ChildProcess, execFileSync, fork, spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { join } from "node:path"

export interface Counted {
  readonly events: number
  readonly bytes: number
  readonly firstMs: number
  readonly lastMs: number
}

export interface Kept {
  readonly head: string
  readonly body: string
}

export interface Receiver {
  readonly url: string
  readonly pid: number
  reset(): Promise<void>
  counted(): Promise<Counted>
  kept(): Promise<ReadonlyArray<Kept>>
  stop(): void
}

type Message = { readonly port: number } | { readonly counted: Counted } | { readonly kept: ReadonlyArray<Kept> }

const answer = (child: ChildProcess): Promise<Message> =>
  new Promise((resolve, reject) => {
    child.once("message", (message) => resolve(message as Message))
    child.once("exit", (code) => reject(new Error(`the receiver ended with ${code}`)))
  })

/** `delayMs`: before each answer; `never`: it takes requests and answers none. */
export const startReceiver = async (delayMs: number | "never" = 0): Promise<Receiver> => {
  const child = fork(join(import.meta.dirname, "receiver.ts"), { stdio: "inherit", env: { ...process.env, DELAY_MS: String(delayMs) } })
  child.setMaxListeners(0)
  const first = await answer(child)
  if (!("port" in first)) throw new Error("the receiver said no port")
  const ask = (what: string): Promise<Message> => {
    const got = answer(child)
    child.send(what)
    return got
  }
  return {
    url: `http://127.0.0.1:${first.port}/webhook`,
    pid: child.pid!,
    reset: async () => void await ask("reset"),
    counted: async () => (await ask("read") as { readonly counted: Counted }).counted,
    kept: async () => (await ask("kept") as { readonly kept: ReadonlyArray<Kept> }).kept,
    stop: () => void child.disconnect()
  }
}

const ticksPerSecond = Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }))

/** User and system time of a process so far, s. */
export const cpuSeconds = (pid: number): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\) /, "").split(" ")
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
}

export interface Started {
  readonly child: ChildProcess
  readonly ended: Promise<number | null>
  /** The end of what it printed. */
  log(): string
}

export const start = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>>): Started => {
  const child = spawn(process.execPath, args, { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] })
  let log = ""
  const keep = (text: string) => { log = (log + text).slice(-4000) }
  child.stdout.setEncoding("utf8").on("data", keep)
  child.stderr.setEncoding("utf8").on("data", keep)
  return { child, ended: new Promise((resolve) => child.once("close", resolve)), log: () => log }
}

export const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

export const median = (values: ReadonlyArray<number>): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

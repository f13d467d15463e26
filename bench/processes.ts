/** Processes that a bench starts: receivers, and others of which CPU time and memory are asked. */
import { type ChildProcess, execFileSync, fork, spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { join } from "node:path"

/** What a receiver counted since its last reset. Times: ms of its own clock. */
export interface Counted {
  readonly requests: number
  readonly events: number
  readonly bytes: number
  readonly firstMs: number
  readonly lastMs: number
  readonly endpoints: number
  /** Numbers (`webhook-sequence`) that came again, that did not come, and how far one came behind a higher one. */
  readonly twice: number
  readonly missing: number
  readonly backBy: number
  /** With latency: rows of which `n` did not grow. */
  readonly wrongOrder: number
}

export interface Kept {
  readonly head: string
  readonly body: string
}

export interface Receiver {
  readonly url: string
  readonly pid: number
  reset(what?: "latency"): Promise<void>
  counted(): Promise<Counted>
  kept(): Promise<ReadonlyArray<Kept>>
  /** µs from commit to receipt, since `reset("latency")`. */
  samples(): Promise<ReadonlyArray<number>>
  stop(): void
}

interface Message {
  readonly port?: number
  readonly counted?: Counted
  readonly kept?: ReadonlyArray<Kept>
  readonly samples?: ReadonlyArray<number>
}

const answer = (child: ChildProcess): Promise<Message> =>
  new Promise((resolve, reject) => {
    const ended = (code: number | null) => reject(new Error(`the receiver ended with ${code}`))
    child.once("exit", ended)
    child.once("message", (message) => {
      child.off("exit", ended)
      resolve(message as Message)
    })
  })

/** `delayMs`: before each answer; `never`: it takes requests and answers none. */
export const startReceiver = async (delayMs: number | "never" = 0): Promise<Receiver> => {
  const child = fork(join(import.meta.dirname, "receiver.ts"), { stdio: "inherit", env: { ...process.env, DELAY_MS: String(delayMs) } })
  const { port } = await answer(child)
  const ask = (what: string): Promise<Message> =>
    new Promise((resolve, reject) => {
      answer(child).then(resolve, reject)
      // With a callback an error is not thrown as an event: a receiver that was ended with us must not hide why.
      child.send(what, (error) => { if (error !== null) reject(error) })
    })
  return {
    url: `http://127.0.0.1:${port!}/webhook`,
    pid: child.pid!,
    reset: async (what) => void await ask(what === undefined ? "reset" : `reset ${what}`),
    counted: async () => (await ask("read")).counted!,
    kept: async () => (await ask("kept")).kept!,
    samples: async () => (await ask("samples")).samples!,
    stop: () => { if (child.connected) child.disconnect() }
  }
}

const ticksPerSecond = Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }))

/** User and system time of a process so far, s. */
export const cpuSeconds = (pid: number): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\) /, "").split(" ")
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
}

const mib = (pid: number, field: string): number =>
  Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024

/** Resident memory of a process, MiB: now, and the most so far. */
export const rssMib = (pid: number): number => mib(pid, "VmRSS")
export const peakMib = (pid: number): number => mib(pid, "VmHWM")

export interface Started {
  readonly child: ChildProcess
  readonly pid: number
  readonly ended: Promise<number | null>
  /** The end of what it printed. */
  log(): string
}

const running = new Set<ChildProcess>()
/** Kills every program that still runs. */
export const endPrograms = (): void => {
  for (const child of running) child.kill("SIGKILL")
}

/** A program by its path: one of JavaScript or TypeScript with this Node, any other by itself. */
export const startProgram = (file: string, args: ReadonlyArray<string>, env: Readonly<Record<string, string>>, nodeFlags: ReadonlyArray<string> = []): Started => {
  const own = /\.[cm]?[jt]s$/.test(file)
  const child = spawn(own ? process.execPath : file, own ? [...nodeFlags, file, ...args] : [...args], {
    env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"]
  })
  running.add(child)
  let log = ""
  const keep = (text: string) => { log = (log + text).slice(-4000) }
  child.stdout.setEncoding("utf8").on("data", keep)
  child.stderr.setEncoding("utf8").on("data", keep)
  const ended = new Promise<number | null>((resolve) => {
    child.once("error", (error) => {
      keep(String(error))
      resolve(null)
    })
    child.once("close", (code) => {
      running.delete(child)
      resolve(code)
    })
  })
  return { child, pid: child.pid ?? 0, ended, log: () => log }
}

/** SIGTERM, and SIGKILL when that does not help within the limit. Returns the ms that it took. */
export const stopProgram = async ({ child, ended }: Started, limitMs = 30_000): Promise<number> => {
  const from = performance.now()
  child.kill("SIGTERM")
  const late = setTimeout(() => child.kill("SIGKILL"), limitMs)
  await ended
  clearTimeout(late)
  return performance.now() - from
}

/** Waits for its end, at most so long. */
export const endedWithin = async (program: Started, limitMs: number): Promise<number | null> => {
  const late = setTimeout(() => program.child.kill("SIGKILL"), limitMs)
  const code = await program.ended
  clearTimeout(late)
  return code
}

export const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

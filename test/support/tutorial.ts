/** docs/tutorial.md as a program: its fenced blocks by section, and a shell in which its commands run. */
import { spawn, type ChildProcess } from "node:child_process"
import { chmodSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert } from "vitest"
import type { Data } from "../../conformance/Payload.ts"
import { cleanEnv, type Ended } from "./cli.ts"
import { eventually } from "./database.ts"

const root = join(import.meta.dirname, "../..")

export interface Block {
  /** What stands behind the fence: sh, sql, json, yaml, or nothing for output. */
  readonly language: string
  readonly text: string
}

const sections = readFileSync(join(root, "docs/tutorial.md"), "utf8").split(/^## /m).slice(1)
const titleOf = (section: string) => section.slice(0, section.indexOf("\n"))

/** A whole section. */
export const textOf = (title: string): string => sections.find((section) => titleOf(section) === title) ?? ""

/** Section title to its blocks, in order. */
export const tutorial = (): ReadonlyMap<string, ReadonlyArray<Block>> =>
  new Map(sections.map((section) => [
    titleOf(section),
    [...section.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(([, language = "", text = ""]) => ({ language, text: text.trimEnd() }))
  ]))

/** The `n`-th block of a language in a section. */
export const blockOf = (section: string, language: string, n = 0): string => {
  const found = (tutorial().get(section) ?? []).filter((one) => one.language === language)[n]
  if (found === undefined) throw new Error(`docs/tutorial.md, ${section}: there is no block ${n} of ${language || "output"}`)
  return found.text
}

/** An event without what differs from run to run. */
export const timeless = (data: Data) => ({ ...data, timestamp: "", lsn: "" })

export interface Ports {
  readonly postgres: number
  readonly api: number
  readonly receiver: number
}

export interface Background {
  readonly child: ChildProcess
  stdout(): string
  stderr(): string
  readonly ended: Promise<Ended>
  stop(): Promise<Ended>
}

export interface Shell {
  /** The tutorial's text with the ports of this test. */
  here(text: string): string
  write(file: string, text: string): void
  /** To its end. */
  run(command: string): Promise<Ended>
  start(command: string): Background
  stopAll(): Promise<void>
}

/** `pgstream` and `npm` are what a user has: the first runs from the sources, the second knows `npm run webhook`. */
const tools = (folder: string, ports: Ports): void => {
  const tool = (name: string, script: string) => {
    writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`)
    chmodSync(join(folder, name), 0o755)
  }
  tool("pgstream", `exec "${process.execPath}" "${join(root, "src/main.ts")}" "$@"`)
  tool("npm", `[ "$*" = "run webhook" ] && exec "${process.execPath}" "${join(root, "tools/webhook/main.ts")}" --port ${ports.receiver}; exit 9`)
}

export const shellIn = (folder: string, bin: string, ports: Ports): Shell => {
  tools(folder, ports)
  const running = new Set<Background>()
  const env = cleanEnv({
    PATH: `${folder}:${bin}:${process.env["PATH"] ?? ""}`,
    PGSTREAM_WEBHOOK_SUBSCRIPTION_SERVER_ADDRESS: `127.0.0.1:${ports.api}`,
    PGSTREAM_HEALTH_CHECK_ADDRESS: "127.0.0.1:0"
  })
  const begin = (command: string): Background => {
    const child = spawn("bash", ["-c", command], { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"] })
    let [out, err] = ["", ""]
    child.stdout.setEncoding("utf8").on("data", (text: string) => { out += text })
    child.stderr.setEncoding("utf8").on("data", (text: string) => { err += text })
    const ended = new Promise<Ended>((resolve) => child.once("close", (code) => resolve({ code, stdout: out, stderr: err })))
    const one: Background = {
      child, ended, stdout: () => out, stderr: () => err,
      stop: () => {
        child.kill("SIGTERM")
        return ended
      }
    }
    running.add(one)
    void ended.then(() => running.delete(one))
    return one
  }
  return {
    here: (text) => text.replaceAll("localhost:5432", `localhost:${ports.postgres}`).replaceAll("localhost:9900", `localhost:${ports.api}`)
      .replaceAll("localhost:9910", `localhost:${ports.receiver}`).replaceAll(":9910...", `:${ports.receiver}...`),
    write: (file, text) => writeFileSync(join(folder, file), text),
    run: (command) => begin(command).ended,
    // The shell becomes the command, so that a signal reaches it.
    start: (command) => begin(`exec ${command}`),
    stopAll: async () => void await Promise.all([...running].map((one) => one.stop()))
  }
}

/** The events that `npm run webhook` printed: one JSON document after another. */
export const printed = (stdout: string): ReadonlyArray<unknown> =>
  stdout.split(/^(?=\{)/m).filter((text) => text.trimEnd().endsWith("}")).map((text) => JSON.parse(text) as unknown)

/** A command of the tutorial that has to succeed. */
export const succeeds = async (shell: Shell, command: string): Promise<Ended> => {
  const ended = await shell.run(shell.here(command))
  assert.strictEqual(ended.code, 0, `${command}: ${ended.stdout}${ended.stderr}`)
  return ended
}

/** `pgstream run` in the background, until it follows the slot and its API answers. */
export const follows = async (shell: Shell, running: Background): Promise<Background> => {
  await eventually("run follows the slot", () => {
    assert.isNull(running.child.exitCode, running.stderr())
    return running.stderr().includes("Following the slot.")
  })
  await eventually("the API answers", async () => (await shell.run(shell.here("curl -s -o /dev/null http://localhost:9900/webhooks/subscriptions"))).code === 0)
  return running
}

/** What the receiver has printed. */
export const events = (receiver: Background): ReadonlyArray<Data> => printed(receiver.stdout()).map((one) => (one as { Data: Data }).Data)

/** Exactly so many events. */
export const comes = async (receiver: Background, count: number): Promise<ReadonlyArray<Data>> => {
  await eventually(`${count} events`, () => events(receiver).length >= count)
  assert.lengthOf(events(receiver), count, events(receiver).map((data) => JSON.stringify(data).slice(0, 700)).join("\n"))
  return events(receiver)
}

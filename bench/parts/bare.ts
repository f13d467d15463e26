/** The bare loop as an arm: it POSTs the requests that a program sent, headers too. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Receiver, startProgram } from "../processes.ts"
import type { Bench, Metrics } from "./Scenario.ts"
import { drained } from "./Site.ts"

export const bareFile = (name: string): string => join(import.meta.dirname, "../bare", name)

export interface Requests {
  readonly file: string
  remove(): void
}

const SENT = /^(?:content-type|webhook-)/i
const SIGNED = /^webhook-(?:timestamp|signature)$/i

/** What the receiver kept of its last run. `sign`: without what the bare loop makes itself. */
export const prebuilt = async (receiver: Receiver, sign = false): Promise<Requests> => {
  const requests = (await receiver.kept()).map(({ body, head }) => ({
    body,
    headers: head.split("\r\n").slice(1).flatMap((line) => {
      const colon = line.indexOf(":")
      const name = line.slice(0, colon)
      return SENT.test(name) && !(sign && SIGNED.test(name)) ? [name, line.slice(colon + 1).trim()] : []
    })
  }))
  const folder = mkdtempSync(join(tmpdir(), "pgstream-bench-"))
  const file = join(folder, "requests.json")
  writeFileSync(file, JSON.stringify(requests))
  return { file, remove: () => rmSync(folder, { recursive: true }) }
}

export const post = async (
  bench: Bench, receiver: Receiver, requests: Requests, options: { readonly events: number; readonly concurrency: number; readonly secret?: string }
): Promise<Metrics> => {
  await receiver.reset()
  const running = startProgram(bareFile("post.ts"), [], {
    TARGET: receiver.url, EVENTS: String(options.events), CONCURRENCY: String(options.concurrency), REQUESTS: requests.file, SECRET: options.secret ?? ""
  })
  // The same numbers again and again, so they say nothing here.
  const { missing: _, twice: __, ...metrics } = await drained(bench, receiver, options.events, running)
  if (await running.ended !== 0) throw new Error(running.log())
  return metrics
}

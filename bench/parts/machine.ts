/** Where and with what a run was made. */
import { execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { arch, availableParallelism, cpus, totalmem } from "node:os"
import { join } from "node:path"

export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryGib: number
  readonly node: string
  readonly postgres: string
  readonly undici: string
  /** Of the clone that the harness is in. */
  readonly commit: string
}

const root = join(import.meta.dirname, "../..")

const commit = (): string => {
  try {
    return execFileSync("git", ["-C", root, "rev-parse", "--short", "HEAD"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim()
  } catch {
    return "none"
  }
}

export const machine = (postgres: string): Machine => ({
  cpu: `${cpus()[0]?.model.trim() ?? "?"}, ${arch()}`, cores: availableParallelism(), memoryGib: Math.round(totalmem() / 2 ** 30),
  node: process.versions.node, postgres,
  undici: (JSON.parse(readFileSync(join(root, "node_modules/undici/package.json"), "utf8")) as { readonly version: string }).version,
  commit: commit()
})

/**
 * CPU profiles of the programs that an arm starts: `<scenario>.<arm>.<n>.cpuprofile` (for Chrome's and VS Code's tools), and
 * beside each one the same in words, as `.md`.
 */
import { existsSync, mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { summarise } from "../profile.ts"

const fileName = (text: string): string => text.replace(/[^\w-]+/g, "-")

export class Profiles {
  private readonly folder: string
  private readonly say: (text: string) => void
  private of: string | undefined
  private started: Array<string> = []
  private readonly counts = new Map<string, number>()

  /** `say`: is told each summary. */
  constructor(folder: string, say: (text: string) => void) {
    mkdirSync(folder, { recursive: true })
    this.folder = folder
    this.say = say
  }

  /** What starts from here on is of this arm. */
  begin(scenario: string, arm: string): void {
    this.of = `${fileName(scenario)}.${fileName(arm)}`
    this.started = []
  }

  /** Flags of Node for the next program; none between the arms, so that preparations are not profiled. */
  flags(): ReadonlyArray<string> {
    if (this.of === undefined) return []
    const count = (this.counts.get(this.of) ?? 0) + 1
    this.counts.set(this.of, count)
    const name = `${this.of}.${count}`
    this.started.push(name)
    return ["--cpu-prof", `--cpu-prof-dir=${this.folder}`, `--cpu-prof-name=${name}.cpuprofile`]
  }

  /** When its programs have ended. One that was killed, or that Node did not run, wrote none. */
  end(events: number | undefined): void {
    for (const name of this.started) {
      const file = join(this.folder, `${name}.cpuprofile`)
      if (!existsSync(file)) {
        this.say(`## ${name}\n\nIt wrote no profile.`)
        continue
      }
      const { overTime, short } = summarise(file, events)
      const text = `## ${name}${events === undefined ? "" : `, ${events.toLocaleString("en")} events`}\n\n${short}\n`
      writeFileSync(join(this.folder, `${name}.md`), `${text}\n${overTime}\n`)
      this.say(text)
    }
    this.of = undefined
    this.started = []
  }
}

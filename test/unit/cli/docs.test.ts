/** docs/cli.md has each command that help lists, and none that is not there. */
import { readFileSync } from "node:fs"
import { assert, it } from "vitest"
import { root } from "../../../src/layers/cli/Tree.ts"

interface Node {
  readonly name: string
  readonly unlisted?: boolean
  readonly subcommands?: ReadonlyArray<{ readonly commands: ReadonlyArray<Node> }>
}

/** Full names; a command with commands below it need not be named alone. */
const namesBelow = (command: Node, path: string): ReadonlyArray<string> =>
  (command.subcommands ?? []).flatMap(({ commands }) => commands).filter(({ unlisted }) => unlisted !== true)
    .flatMap((child) => {
      const name = `${path} ${child.name}`
      const below = namesBelow(child, name)
      return below.length === 0 ? [name] : below
    })

const docs = readFileSync("docs/cli.md", "utf8")

it("docs/cli.md names each command", () => {
  const commands = namesBelow(root as unknown as Node, "pgstream")
  assert.includeMembers([...commands], ["pgstream run", "pgstream subscriptions rotate-secret", "pgstream tokens add"])
  assert.deepStrictEqual(commands.filter((name) => !docs.includes(`\`${name}`)), [])
})

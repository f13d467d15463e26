/** What the command line answers without any database. */
import { assert, it } from "vitest"
import { pgstream } from "../support/cli.ts"
import { version } from "../../src/version.ts"

it.each([["--version"], ["-v"], ["version"]])("%s prints the version alone", async (arg) => {
  assert.deepStrictEqual(await pgstream([arg]), { code: 0, stdout: `pgstream version ${version}\n`, stderr: "" })
})
it("help names every command, also without one, and for one", async () => {
  for (const args of [[], ["--help"], ["help"]]) {
    const { code, stdout } = await pgstream(args)
    assert.strictEqual(code, 0)
    for (const command of ["init", "run", "status", "destroy", "completion"]) assert.include(stdout, command)
  }
  assert.include((await pgstream(["help", "init"])).stdout, "--replication-slot")
})
it.each(["bash", "zsh", "fish", "powershell"])("completion %s prints a script", async (shell) => {
  const { code, stdout } = await pgstream(["completion", shell])
  assert.strictEqual(code, 0)
  assert.include(stdout, "pgstream")
})

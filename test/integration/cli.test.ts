/** What the command line answers without any database. */
import { spawn } from "node:child_process"
import { assert, it } from "vitest"
import { cleanEnv, pgstream } from "../support/cli.ts"
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

it("a reader of a pipe that is slow gets all of it, and one that leaves is no fault", async () => {
  const shell = (script: string) => new Promise<{ readonly code: number | null; readonly out: string }>((resolve, reject) => {
    const child = spawn("sh", ["-c", script, "sh", process.execPath, "src/main.ts"], { env: cleanEnv(), stdio: ["ignore", "pipe", "inherit"] })
    let out = ""
    child.stdout.setEncoding("utf8").on("data", (part: string) => { out += part })
    child.once("error", reject)
    child.once("close", (code) => resolve({ code, out }))
  })
  const whole = await shell("f=$(mktemp); \"$1\" \"$2\" completion fish > $f; cat $f; rm $f")
  assert.isAbove(Buffer.byteLength(whole.out), 64 * 1024)
  const piped = await shell("\"$1\" \"$2\" completion fish | (sleep 1; cat)")
  assert.strictEqual(piped.out.length, whole.out.length)
  const left = await shell("e=$(mktemp); (\"$1\" \"$2\" completion fish 2> $e; echo $? >> $e) | head -c 10; cat $e; rm $e")
  assert.strictEqual(left.out, `${whole.out.slice(0, 10)}0\n`)
}, 60_000)

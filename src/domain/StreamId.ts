/** Which stream a record belongs to: counts, parked deliveries and checkpoints of two streams never mix. */
export interface StreamId {
  /** `pg_control_system().system_identifier`, decimal. */
  readonly systemIdentifier: string
  readonly slotName: string
}

/** The one text by which tables name a stream: `<system identifier>/<slot name>`. */
export const format = (stream: StreamId): string => `${stream.systemIdentifier}/${stream.slotName}`

/** Reads what `format` wrote. */
export const parse = (text: string): StreamId => {
  const slash = text.indexOf("/")
  return { systemIdentifier: text.slice(0, slash), slotName: text.slice(slash + 1) }
}

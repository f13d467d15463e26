/** The head of a webhook's request: what is the same in all of an endpoint's, and what is written for each. */
import { isCopied } from "../../domain/EventId.ts"
import type { OutgoingRequest } from "../../services/WebhookTransport.ts"

/** RFC 9110, "token". */
const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
/** Visible ASCII, blanks and tabs. */
const VALUE = /^[\t\x20-\x7e]*$/

type Headers = ReadonlyArray<readonly [name: string, value: string]>

const lines = (headers: Headers): string => headers.map(([name, value]) => `${name}: ${value}\r\n`).join("")

/**
 * `undefined`: a name or a value is one that HTTP does not allow. `path`: with the query. `absolute`: a proxy gets the
 * request, and is told the whole URL.
 */
export const prefixOf = (origin: string, path: string, headers: Headers, absolute = false): Buffer | undefined => {
  const sendable = headers.every(([name, value]) => NAME.test(name) && VALUE.test(value))
  if (!sendable || !/^\/[\x21-\x7e]*$/.test(path)) return undefined
  const { host } = new URL(origin)
  return Buffer.from(`POST ${absolute ? origin : ""}${path} HTTP/1.1\r\n${lines([["host", host], ["connection", "keep-alive"], ...headers])}`, "latin1")
}

/** As `VALUE`, in a tenth of its time: there are three for each request. */
const isValue = (text: string): boolean => {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code > 0x7e || code < 0x20 && code !== 0x09) return false
  }
  return true
}

/** One piece of memory, not the pieces that it was put together of. */
const flat = (text: string): string => Buffer.from(text, "latin1").toString("latin1")

/** Heads of the requests of one endpoint. What is the same in many of them is put together once. */
export class Heads {
  private timestamp = ""
  private endpointId = ""
  private epoch = ""
  private plain = ""
  private numbered = ""
  private isSendable = true

  /** All behind the prefix, the empty line too. `more`: further lines. `undefined`: what it says cannot be written into a head. */
  of(request: OutgoingRequest, timestamp: string, bodyBytes: number, more: string): string | undefined {
    const { endpointId, epoch, id, sequence } = request
    if (timestamp !== this.timestamp || epoch !== this.epoch || endpointId !== this.endpointId) this.renew(request, timestamp)
    if (!this.isSendable || !isValue(id)) return undefined
    const lines = isCopied(id) ? `webhook-snapshot: true\r\n${more}` : more
    return sequence > 0
      ? `webhook-id: ${id}${this.numbered}${sequence}\r\n${lines}content-length: ${bodyBytes}\r\n\r\n`
      : `webhook-id: ${id}${this.plain}${lines}content-length: ${bodyBytes}\r\n\r\n`
  }

  private renew({ endpointId, epoch }: OutgoingRequest, timestamp: string): void {
    this.timestamp = timestamp
    this.endpointId = endpointId
    this.epoch = epoch
    this.isSendable = isValue(endpointId) && isValue(epoch)
    const plain = `\r\nwebhook-timestamp: ${timestamp}\r\nwebhook-endpoint: ${endpointId}\r\n`
    this.plain = flat(plain)
    this.numbered = flat(`${plain}webhook-epoch: ${epoch}\r\nwebhook-sequence: `)
  }
}

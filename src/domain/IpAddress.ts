/**
 * IP addresses as 4 or 16 bytes, in network order, and ranges of them. The forms that sockets and URLs use: four
 * decimal numbers, or RFC 4291 with `::`, an IPv4 tail and a zone id (which is dropped). Not the octal, hexadecimal
 * and short forms of inet_aton: `URL` has turned those into four numbers.
 */

/** 4 bytes: IPv4. 16 bytes: IPv6. */
export type IpAddress = Uint8Array

const parseV4 = (text: string): IpAddress | undefined => {
  const parts = text.split(".")
  if (parts.length !== 4) return undefined
  const bytes = new Uint8Array(4)
  for (const [i, part] of parts.entries()) {
    if (!/^(?:0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return undefined
    bytes[i] = Number(part)
  }
  return bytes
}

/** Groups of 16 bits; an IPv4 tail counts as two. `""` has none. */
const groupsOf = (text: string, tail: boolean): Array<number> | undefined => {
  if (text === "") return []
  const groups: Array<number> = []
  const parts = text.split(":")
  for (const [i, part] of parts.entries()) {
    if (tail && i === parts.length - 1 && part.includes(".")) {
      const v4 = parseV4(part)
      if (v4 === undefined) return undefined
      groups.push(v4[0]! << 8 | v4[1]!, v4[2]! << 8 | v4[3]!)
    } else if (/^[0-9a-f]{1,4}$/i.test(part)) groups.push(Number.parseInt(part, 16))
    else return undefined
  }
  return groups
}

const allGroups = (text: string): ReadonlyArray<number> | undefined => {
  const gap = text.indexOf("::")
  if (gap < 0) return groupsOf(text, true)
  const after = text.slice(gap + 2)
  const head = groupsOf(text.slice(0, gap), false)
  const rest = groupsOf(after, true)
  if (head === undefined || rest === undefined || head.length + rest.length > 7) return undefined
  return [...head, ...Array.from({ length: 8 - head.length - rest.length }, () => 0), ...rest]
}

const parseV6 = (text: string): IpAddress | undefined => {
  const groups = allGroups(text)
  if (groups?.length !== 8) return undefined
  const bytes = new Uint8Array(16)
  for (const [i, group] of groups.entries()) {
    bytes[2 * i] = group >> 8
    bytes[2 * i + 1] = group & 255
  }
  return bytes
}

/** `undefined`: no IP address (a host name, for example). Brackets are not part of it. */
export const parse = (text: string): IpAddress | undefined => {
  if (!text.includes(":")) return parseV4(text)
  const zone = text.indexOf("%")
  return parseV6(zone < 0 ? text : text.slice(0, zone))
}

/** `::ffff:10.0.0.1` is the socket's way to write 10.0.0.1. */
const isMapped = (ip: IpAddress): boolean =>
  ip.length === 16 && ip[10] === 255 && ip[11] === 255 && ip.subarray(0, 10).every((byte) => byte === 0)

export const unmapped = (ip: IpAddress): IpAddress => (isMapped(ip) ? ip.subarray(12) : ip)

export interface IpRange {
  readonly base: IpAddress
  /** Leading bits that agree. */
  readonly bits: number
}

/** `10.0.0.0/8`, `fd00::/8`, or one address. Bits of the base beyond the prefix do not count. */
export const parseRange = (text: string): IpRange | undefined => {
  const [address = "", prefix, ...more] = text.split("/")
  const base = parse(address)
  if (base === undefined || more.length > 0) return undefined
  if (prefix === undefined) return { base, bits: base.length * 8 }
  if (!/^\d{1,3}$/.test(prefix) || Number(prefix) > base.length * 8) return undefined
  return { base, bits: Number(prefix) }
}

/** `::ffff:10.0.0.0/104` is 10.0.0.0/8. */
export const unmappedRange = (range: IpRange): IpRange =>
  range.bits >= 96 && isMapped(range.base) ? { base: range.base.subarray(12), bits: range.bits - 96 } : range

/** Of one family only. */
export const within = (ip: IpAddress, { base, bits }: IpRange): boolean => {
  if (ip.length !== base.length) return false
  const whole = bits >> 3
  for (let i = 0; i < whole; i++) if (ip[i] !== base[i]) return false
  const rest = bits & 7
  return rest === 0 || (ip[whole]! ^ base[whole]!) >> 8 - rest === 0
}

export const equal = (a: IpAddress, b: IpAddress): boolean => a.length === b.length && a.every((byte, i) => byte === b[i])

/**
 * Which addresses a webhook may be sent to. Classes after the special-purpose registries of IANA; an IPv6 form that
 * carries an IPv4 address (mapped, compatible, translated, 6to4, Teredo, NAT64, ISATAP) is judged by that one.
 */
import { equal, type IpAddress, type IpRange, parse, parseRange, unmapped, unmappedRange, within } from "./IpAddress.ts"

export type AddressClass =
  | "public" | "loopback" | "private" | "link-local" | "metadata" | "shared" | "unspecified" | "multicast" | "broadcast"
  | "reserved" | "documentation"

type Table = ReadonlyArray<readonly [AddressClass, IpRange]>

const table = (rows: Readonly<Partial<Record<AddressClass, string>>>): Table =>
  Object.entries(rows).flatMap(([name, ranges]) =>
    ranges.split(" ").map((range) => [name as AddressClass, parseRange(range)!] as const))

/** The first that holds decides. Services that hand out credentials of a cloud come first: most are link-local, some look public. */
const V4 = table({
  metadata: "169.254.169.254 169.254.170.2 169.254.170.23 169.254.42.42 169.254.0.23 100.100.100.200 192.0.0.192 168.63.129.16",
  unspecified: "0.0.0.0/8",
  loopback: "127.0.0.0/8",
  private: "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16",
  shared: "100.64.0.0/10",
  "link-local": "169.254.0.0/16",
  documentation: "192.0.2.0/24 198.51.100.0/24 203.0.113.0/24",
  broadcast: "255.255.255.255",
  multicast: "224.0.0.0/4",
  reserved: "192.0.0.0/24 192.88.99.0/24 198.18.0.0/15 240.0.0.0/4"
})

const V6 = table({
  metadata: "fd00:ec2::254 fd00:ec2::23 fd20:ce::254 fd00:42::42",
  unspecified: "::/128",
  loopback: "::1/128",
  private: "fc00::/7 fec0::/10",
  "link-local": "fe80::/10",
  multicast: "ff00::/8",
  documentation: "2001:db8::/32 3fff::/20",
  reserved: "2001::/23 5f00::/16 100::/64"
})

const GLOBAL_UNICAST = parseRange("2000::/3")!

const lookUp = (ip: IpAddress, rows: Table): AddressClass | undefined => rows.find(([, range]) => within(ip, range))?.[0]

const inverted = (bytes: IpAddress): IpAddress => bytes.map((byte) => byte ^ 255)
const tail = (ip: IpAddress): IpAddress => ip.subarray(12)

/** Stands for a private network: that prefix is for local use. */
const PRIVATE = Uint8Array.of(10, 0, 0, 0)

/** Form, and where its IPv4 addresses are. */
const carriers: ReadonlyArray<readonly [IpRange, (ip: IpAddress) => ReadonlyArray<IpAddress>]> = [
  [parseRange("::ffff:0:0/96")!, (ip) => [tail(ip)]],
  [parseRange("::ffff:0:0:0/96")!, (ip) => [tail(ip)]],
  [parseRange("::/96")!, (ip) => [tail(ip)]],
  [parseRange("64:ff9b::/96")!, (ip) => [tail(ip)]],
  [parseRange("64:ff9b:1::/48")!, (ip) => [PRIVATE, Uint8Array.of(ip[6]!, ip[7]!, ip[9]!, ip[10]!), tail(ip)]],
  [parseRange("2002::/16")!, (ip) => [ip.subarray(2, 6)]],
  [parseRange("2001::/32")!, (ip) => [ip.subarray(4, 8), inverted(tail(ip))]]
]

const isIsatap = (ip: IpAddress): boolean => (ip[8]! & 0xfd) === 0 && ip[9] === 0 && ip[10] === 0x5e && ip[11] === 0xfe

/** `metadata` before all others, `public` only if nothing else is there. */
const worst = (classes: ReadonlyArray<AddressClass>): AddressClass =>
  classes.find((name) => name === "metadata") ?? classes.find((name) => name === "link-local") ??
    classes.find((name) => name !== "public") ?? "public"

const classOfV4 = (ip: IpAddress): AddressClass => lookUp(ip, V4) ?? "public"

export const classOf = (ip: IpAddress): AddressClass => {
  if (ip.length === 4) return classOfV4(ip)
  const own = lookUp(ip, V6) ?? (within(ip, GLOBAL_UNICAST) ? "public" : "reserved")
  if (own !== "public" && own !== "reserved") return own
  const carrier = carriers.find(([range]) => within(ip, range))
  if (carrier !== undefined) return worst(carrier[1](ip).map(classOfV4))
  return isIsatap(ip) ? worst([own, classOfV4(tail(ip))]) : own
}

/** What `PGSTREAM_WEBHOOK_ALLOWED_HOSTS` names. */
export interface AllowedHosts {
  /** Lower case, without a last dot. */
  readonly names: ReadonlySet<string>
  readonly ranges: ReadonlyArray<IpRange>
}

export const nothingAllowed: AllowedHosts = { names: new Set(), ranges: [] }

/** As the host of a URL has it: lower case, no brackets, no last dot. */
export const hostOf = (name: string): string => name.toLowerCase().replace(/^\[|\]$/g, "").replace(/\.$/, "")

/** One entry of the list: a host name, an IP address or a range; `undefined`: none of them. */
const parseAllowed = (text: string): { readonly name: string } | { readonly range: IpRange } | undefined => {
  const host = hostOf(text)
  const range = parseRange(host)
  if (range !== undefined) return { range: unmappedRange(range) }
  // Digits and dots alone are an address with a mistake, not a name.
  if (/^[\d.]+$/.test(host) || !/^[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*$/.test(host)) return undefined
  return { name: host }
}

/** The list, or the entries that are none. */
export const parseAllowedHosts = (
  entries: ReadonlyArray<string>
): { readonly allowed: AllowedHosts; readonly bad: ReadonlyArray<string> } => {
  const names = new Set<string>()
  const ranges: Array<IpRange> = []
  const bad: Array<string> = []
  for (const entry of entries) {
    const parsed = parseAllowed(entry)
    if (parsed === undefined) bad.push(entry)
    else if ("name" in parsed) names.add(parsed.name)
    else ranges.push(parsed.range)
  }
  return { allowed: { names, ranges }, bad }
}

/** public: nothing that is not public. local: all but link-local addresses and metadata services. */
export type Reach = "public" | "local"

export interface AddressPolicy {
  readonly reach: Reach
  readonly allowed: AllowedHosts
}

/** Never by its name alone: what a name resolves to is not in the operator's hand. */
const NEVER_BY_NAME: ReadonlySet<AddressClass> = new Set(["metadata", "link-local"])

/**
 * The class for which `address` is refused; `undefined`: it may be connected to. `host`: of the URL, by `hostOf`.
 * What is no address is refused as `reserved`.
 */
export const refusal = (policy: AddressPolicy, host: string, address: string): AddressClass | undefined => {
  const parsed = parse(address)
  if (parsed === undefined) return "reserved"
  const ip = unmapped(parsed)
  const found = classOf(ip)
  if (found === "public" || policy.allowed.ranges.some((range) => within(ip, range))) return undefined
  if (NEVER_BY_NAME.has(found)) return found
  return policy.reach === "local" || policy.allowed.names.has(host) ? undefined : found
}

/** An address at which this process listens itself; `host` as configured: `""`, `0.0.0.0` and `::` are all of its own. */
export interface OwnListener {
  readonly host: string
  readonly port: number
}

const isSelf = (ip: IpAddress): boolean => ["loopback", "unspecified"].includes(classOf(ip))

const isOneOf = (ip: IpAddress, texts: ReadonlyArray<string>): boolean =>
  texts.some((text) => {
    const other = parse(text)
    return other !== undefined && equal(unmapped(other), ip)
  })

const reaches = (host: string, local: ReadonlyArray<string>, ip: IpAddress): boolean => {
  const parsed = parse(host)
  // A name, or every interface.
  if (parsed === undefined || classOf(parsed) === "unspecified") return isSelf(ip) || isOneOf(ip, local)
  const listening = unmapped(parsed)
  return isSelf(listening) ? isSelf(ip) : equal(listening, ip)
}

/**
 * Whether `address` and `port` reach one of `listeners`. `local`: addresses of this machine's interfaces. All of
 * loopback is one, 0.0.0.0 too: 127.0.0.2 reaches what listens on every interface.
 */
export const reachesOwn = (
  listeners: ReadonlyArray<OwnListener>, local: ReadonlyArray<string>, address: string, port: number
): boolean => {
  const parsed = parse(address)
  return parsed !== undefined && listeners.some((own) => own.port === port && reaches(own.host, local, unmapped(parsed)))
}

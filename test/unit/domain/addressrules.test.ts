import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { isIP } from "node:net"
import * as AddressRules from "../../../src/domain/AddressRules.ts"
import * as IpAddress from "../../../src/domain/IpAddress.ts"

const classOf = (text: string): string => {
  const ip = IpAddress.parse(text)
  return ip === undefined ? "no address" : AddressRules.classOf(ip)
}

/** First and last address of each range, and their neighbours outside. */
const CLASSES: Readonly<Record<string, ReadonlyArray<string>>> = {
  public: [
    "1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0", "169.253.255.255",
    "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.0.3.0", "192.167.255.255", "192.169.0.0", "198.17.255.255",
    "198.20.0.0", "198.51.99.255", "198.51.101.0", "203.0.112.255", "203.0.114.0", "223.255.255.255", "168.63.129.17", "8.8.8.8",
    "2000::", "2001:200::1", "2606:4700:4700::1111", "2a00::1", "2003::", "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff:1000::1",
    "::ffff:8.8.8.8", "::ffff:0:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1", "2001:db9::1", "::8.8.8.8",
    "2001:0:808:808::f7f7:f7f7", "2606:4700::5efe:8.8.8.8"
  ],
  loopback: ["127.0.0.0", "127.0.0.1", "127.255.255.255", "::1", "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "::ffff:0:127.0.0.1", "::1%lo"],
  private: [
    "10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.0", "192.168.255.255", "fc00::", "fdff:ffff::1", "fec0::1",
    "feff::1", "::ffff:10.0.0.1", "::ffff:a00:1", "::10.0.0.1", "64:ff9b::10.0.0.1", "2002:c0a8:1::1", "64:ff9b:1::1:2", "64:ff9b:1:808:8:800::",
    "2001:0:808:808::f5ff:fffe", "2001:0:a00:1::f7f7:f7f7", "2606:4700::5efe:10.0.0.1", "2606:4700::200:5efe:192.168.1.1"
  ],
  "link-local": ["169.254.0.0", "169.254.255.255", "fe80::", "fe80::1%eth0", "fe80::1%25eth0", "febf:ffff::1", "::ffff:169.254.1.1", "2002:a9fe:101::"],
  metadata: [
    "169.254.169.254", "169.254.170.2", "169.254.170.23", "169.254.42.42", "169.254.0.23", "100.100.100.200", "192.0.0.192",
    "168.63.129.16", "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "fd00:42::42", "::ffff:169.254.169.254", "::ffff:a9fe:a9fe",
    "::169.254.169.254", "::ffff:0:169.254.169.254", "64:ff9b::a9fe:a9fe", "64:ff9b:1:a9fe:a9:fe00::", "64:ff9b:1::a9fe:a9fe",
    "2002:a9fe:a9fe::1", "2001:0:808:808::5601:5601", "2606:4700::5efe:169.254.169.254"
  ],
  shared: ["100.64.0.0", "100.127.255.255", "::ffff:100.64.0.1"],
  unspecified: ["0.0.0.0", "0.255.255.255", "::", "::ffff:0.0.0.0", "::2"],
  multicast: ["224.0.0.0", "239.255.255.255", "ff00::", "ff02::1", "::ffff:224.0.0.1"],
  broadcast: ["255.255.255.255", "::ffff:255.255.255.255"],
  reserved: [
    "240.0.0.0", "255.255.255.254", "192.0.0.0", "192.0.0.255", "192.88.99.1", "198.18.0.0", "198.19.255.255", "2001:1::1", "2001:1ff::1",
    "2001:20::1", "100::", "100:0:0:0:ffff::1", "5f00::1", "5f00::200:5efe:8.8.8.8", "4000::1", "1fff::1", "fe00::1", "64:ff9b:2::1"
  ],
  documentation: ["192.0.2.0", "192.0.2.255", "198.51.100.1", "203.0.113.255", "2001:db8::", "2001:db8:ffff::1", "3fff::1", "3fff:fff::1"],
  "no address": [
    "", "localhost", "1.2.3", "1.2.3.4.5", "01.2.3.4", "1.2.3.256", "0x7f.0.0.1", "2130706433", "1.2.3.4 ", ":", ":::", "1::2::3", "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9", "::12345", "::1.2.3", "1.2.3.4::", "::g", "1:2:3:4:5:6:7::8:9", "[::1]", "1:2:3:4:5:6:7:1.2.3.4"
  ]
}

describe("AddressRules.classOf", () => {
  for (const [name, addresses] of Object.entries(CLASSES)) {
    for (const address of addresses) it(`${address} is ${name}`, () => assert.strictEqual(classOf(address), name))
  }

  it.prop("takes for an address what the sockets take for one", { text: Schema.String }, ({ text }) => {
    assert.strictEqual(IpAddress.parse(text) !== undefined, isIP(text) !== 0)
  }, { arbitrary: { runs: 2_000 } })

  const Group = Schema.Int.pipe(Schema.check(Schema.isBetween({ minimum: 0, maximum: 0xffff })))
  it.prop("reads an IPv6 address as the WHATWG URL writes it", {
    groups: Schema.Tuple([Group, Group, Group, Group, Group, Group, Group, Group])
  }, ({ groups }) => {
    const full = groups.map((group) => group.toString(16)).join(":")
    const short = new URL(`http://[${full}]/`).hostname.slice(1, -1)
    assert.deepStrictEqual(IpAddress.parse(short), IpAddress.parse(full))
    assert.strictEqual(IpAddress.parse(full)!.length, 16)
  })

  const Byte = Schema.Int.pipe(Schema.check(Schema.isBetween({ minimum: 0, maximum: 255 })))
  it.prop("judges every form that carries an IPv4 address by that one", { a: Byte, b: Byte, c: Byte, d: Byte }, ({ a, b, c, d }) => {
    const v4 = `${a}.${b}.${c}.${d}`
    const hex = (x: number, y: number) => (x << 8 | y).toString(16)
    const expected = classOf(v4)
    for (const form of [`::ffff:${v4}`, `::ffff:0:${v4}`, `64:ff9b::${v4}`, `2002:${hex(a, b)}:${hex(c, d)}::1`]) {
      assert.strictEqual(classOf(form), expected, form)
    }
    assert.strictEqual(classOf(`2001:0:808:808::${hex(a ^ 255, b ^ 255)}:${hex(c ^ 255, d ^ 255)}`), expected)
  })
})

const allowing = (...entries: Array<string>) => {
  const { allowed, bad } = AddressRules.parseAllowedHosts(entries)
  assert.deepStrictEqual(bad, [])
  return allowed
}

describe("AddressRules.refusal", () => {
  const local = { reach: "local", allowed: AddressRules.nothingAllowed } as const
  const strict = { reach: "public", allowed: AddressRules.nothingAllowed } as const

  it("local: all but link-local addresses and metadata services", () => {
    for (const address of ["8.8.8.8", "127.0.0.1", "10.0.0.1", "::1", "fd00::1", "100.64.0.1", "::ffff:10.0.0.1"]) {
      assert.isUndefined(AddressRules.refusal(local, "h", address), address)
    }
    assert.strictEqual(AddressRules.refusal(local, "h", "169.254.1.1"), "link-local")
    assert.strictEqual(AddressRules.refusal(local, "h", "fe80::1%eth0"), "link-local")
    assert.strictEqual(AddressRules.refusal(local, "h", "::ffff:169.254.169.254"), "metadata")
    assert.strictEqual(AddressRules.refusal(local, "h", "64:ff9b::a9fe:a9fe"), "metadata")
  })

  it("public: nothing that is not", () => {
    for (const [name, addresses] of Object.entries(CLASSES)) {
      if (name === "no address") continue
      for (const address of addresses) {
        assert.strictEqual(AddressRules.refusal(strict, "h", address), name === "public" ? undefined : name, address)
      }
    }
    assert.strictEqual(AddressRules.refusal(strict, "h", "nonsense"), "reserved")
  })

  it("an allowed name reaches private addresses, never metadata or link-local ones", () => {
    const policy = { reach: "public", allowed: allowing("Hooks.Internal.", "other") } as const
    assert.isUndefined(AddressRules.refusal(policy, "hooks.internal", "10.0.0.1"))
    assert.isUndefined(AddressRules.refusal(policy, "hooks.internal", "::1"))
    assert.strictEqual(AddressRules.refusal(policy, "a.hooks.internal", "10.0.0.1"), "private")
    assert.strictEqual(AddressRules.refusal(policy, "hooks.internal", "169.254.169.254"), "metadata")
    assert.strictEqual(AddressRules.refusal(policy, "hooks.internal", "fd00:ec2::254"), "metadata")
    assert.strictEqual(AddressRules.refusal(policy, "hooks.internal", "169.254.0.1"), "link-local")
  })

  it("an allowed address or range reaches whatever it is, by any name, also in its mapped form", () => {
    const policy = { reach: "public", allowed: allowing("10.1.0.0/16", "169.254.169.254", "fd00::/8", "[::1]", "::ffff:192.168.0.0/120") } as const
    for (const address of ["10.1.0.0", "10.1.255.255", "::ffff:10.1.2.3", "169.254.169.254", "fd12::1", "::1", "192.168.0.9"]) {
      assert.isUndefined(AddressRules.refusal(policy, "h", address), address)
    }
    for (const address of ["10.2.0.0", "10.0.255.255", "64:ff9b::10.1.2.3", "192.168.1.0", "169.254.169.253", "fc12::1"]) {
      assert.isDefined(AddressRules.refusal(policy, "h", address), address)
    }
  })

  it("names the entries that are neither a name, an address nor a range", () => {
    const entries = ["a.b", "10.0.0.0/8", "10.0.0.0/33", "10.0.0", "http://a", "a:1", "", "fd00::/129", "*.a", "1.2.3.4/8/9", "-a", "a..b"]
    assert.deepStrictEqual(AddressRules.parseAllowedHosts(entries).bad, entries.slice(2))
  })
})

describe("AddressRules.reachesOwn", () => {
  const reaches = (host: string, address: string, port = 9900) =>
    AddressRules.reachesOwn([{ host, port: 9900 }], ["127.0.0.1", "10.0.0.5", "fe80::5%eth0"], address, port)

  it("on loopback: by any name of it, and by no other address or port", () => {
    for (const host of ["127.0.0.1", "::1"]) {
      for (const address of ["127.0.0.1", "127.0.0.9", "::1", "0.0.0.0", "::", "::ffff:127.0.0.1"]) assert.isTrue(reaches(host, address), address)
      for (const address of ["10.0.0.5", "8.8.8.8"]) assert.isFalse(reaches(host, address), address)
      assert.isFalse(reaches(host, "127.0.0.1", 9901))
    }
  })

  it("on every interface: by all addresses of the machine", () => {
    for (const host of ["", "0.0.0.0", "::", "localhost"]) {
      for (const address of ["127.0.0.1", "10.0.0.5", "::ffff:10.0.0.5", "fe80::5%eth0"]) assert.isTrue(reaches(host, address), `${host} ${address}`)
      for (const address of ["10.0.0.6", "8.8.8.8", "nonsense"]) assert.isFalse(reaches(host, address), `${host} ${address}`)
    }
  })

  it("on one address: by that one", () => {
    assert.isTrue(reaches("10.0.0.5", "::ffff:10.0.0.5"))
    assert.isFalse(reaches("10.0.0.5", "127.0.0.1"))
  })
})

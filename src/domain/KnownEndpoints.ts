/** Endpoints as they were read last, for plain lookups, with watchers that are told what differs from before. */
import { type Endpoint, type EndpointId, sendsAlike } from "./Subscription.ts"

export type EndpointWatcher = (id: EndpointId, endpoint: Endpoint | undefined) => void

const same = (a: Endpoint, b: Endpoint): boolean =>
  sendsAlike(a, b) && a.pausedReason === b.pausedReason && (a.disabled ?? false) === (b.disabled ?? false)

export class KnownEndpoints {
  private readonly rows = new Map<EndpointId, Endpoint>()
  private readonly watchers = new Set<EndpointWatcher>()
  /** Those that are not as they were when they were first seen. */
  private readonly changed = new Set<EndpointId>()

  get(id: EndpointId): Endpoint | undefined {
    return this.rows.get(id)
  }

  /** `undefined`: it went. Tells watchers only if it differs; the first sight of an endpoint counts as one. */
  set(id: EndpointId, endpoint: Endpoint | undefined): void {
    const old = this.rows.get(id)
    if (endpoint === undefined) {
      if (!this.rows.delete(id)) return
      this.changed.delete(id)
    } else {
      if (old !== undefined && same(old, endpoint)) return
      this.rows.set(id, endpoint)
      if (old !== undefined) this.changed.add(id)
    }
    for (const watch of this.watchers) watch(id, endpoint)
  }

  /** The whole table: what is not in it went. */
  replaceAll(endpoints: ReadonlyArray<Endpoint>): void {
    const ids = new Set<EndpointId>()
    for (const endpoint of endpoints) {
      ids.add(endpoint.id)
      this.set(endpoint.id, endpoint)
    }
    for (const id of this.rows.keys()) if (!ids.has(id)) this.set(id, undefined)
  }

  /** Tells `watcher` what changed before, then each change. Returns what ends it. */
  watch(watcher: EndpointWatcher): () => void {
    for (const id of this.changed) watcher(id, this.rows.get(id))
    this.watchers.add(watcher)
    return () => void this.watchers.delete(watcher)
  }
}

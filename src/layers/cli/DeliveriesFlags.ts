/** Which deliveries are meant, from flags. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as DeliverySelector from "../../domain/DeliverySelector.ts"
import { CurrentStream } from "../../services/CurrentStream.ts"
import { timeOf } from "../../services/DeliveryApi.ts"
import * as ApiToken from "../../domain/ApiToken.ts"
import { failed, storeFailed, usage } from "./Admin.ts"
import * as Find from "./SubscriptionsFind.ts"

export interface Selecting {
  readonly endpoint: Option.Option<string>
  readonly id: ReadonlyArray<string>
  readonly table: Option.Option<string>
  readonly key: Option.Option<string>
  readonly since: Option.Option<string>
  readonly until: Option.Option<string>
}

/** `2026-11-24T12:00:00Z`, or `2h`: so long ago. */
const momentOf = Effect.fnUntraced(function*(flag: string, text: Option.Option<string>) {
  if (Option.isNone(text)) return undefined
  const at = timeOf(text.value)
  if (at !== undefined) return at
  const ago = ApiToken.lifetimeMs(text.value)
  if (Result.isSuccess(ago)) return (yield* Clock.currentTimeMillis) - ago.success
  return yield* usage(`--${flag}: ${JSON.stringify(text.value)} is neither a time such as 2026-11-24T12:00:00Z nor a while such as 2h`)
})

const keyOf = Effect.fnUntraced(function*(text: Option.Option<string>) {
  if (Option.isNone(text)) return undefined
  const key = DeliverySelector.parseKey(text.value)
  return Result.isSuccess(key) ? key.success : yield* usage(`--key ${key.failure}`)
})

export const selectorOf = Effect.fnUntraced(function*(flags: Selecting, state: DeliverySelector.SelectedState | undefined) {
  if (flags.id.length > DeliverySelector.MAX_IDS) return yield* usage(`--id: more than ${DeliverySelector.MAX_IDS}`)
  const wrong = Option.isNone(flags.table) ? undefined : DeliverySelector.tableProblem(flags.table.value)
  if (wrong !== undefined) return yield* usage(`--table ${wrong}`)
  const endpointId = Option.isNone(flags.endpoint) ? undefined : (yield* Find.endpoint(flags.endpoint.value)).id
  const [key, fromMs, toMs] = [yield* keyOf(flags.key), yield* momentOf("since", flags.since), yield* momentOf("until", flags.until)]
  const selector: DeliverySelector.DeliverySelector = {
    ...(endpointId === undefined ? {} : { endpointId }), ...(flags.id.length === 0 ? {} : { ids: flags.id }),
    ...(state === undefined ? {} : { state }), ...(Option.isNone(flags.table) ? {} : { table: flags.table.value }),
    ...(key === undefined ? {} : { key }), ...(fromMs === undefined ? {} : { fromMs }), ...(toMs === undefined ? {} : { toMs })
  }
  return selector
})

/** The store's, the source's and the codes that they have. */
export const asked = (error: { readonly cause: unknown; readonly unavailable?: boolean }) =>
  storeFailed({ unavailable: error.unavailable ?? true, cause: error.cause } as Parameters<typeof storeFailed>[0])

export const stream = CurrentStream.use((current) => current.identify).pipe(Effect.mapError(asked))

export const noSuchDelivery = (id: string) =>
  failed(1, `There is no delivery ${JSON.stringify(id)} among what is stored and what the log has`, "NoSuchDelivery", [
    "What was delivered is not kept. What there is:   pgstream deliveries list"
  ])

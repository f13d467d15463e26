/** The settings as the services that layers read. */
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import { AddressGuardSettings } from "../../services/AddressGuard.ts"
import { copyDefaults, CopySettings } from "../../services/CopySettings.ts"
import { DeliveryLogSettings, NoticeSettings } from "../../services/DeliverySettings.ts"
import { ProxySettings } from "../../services/ProxySettings.ts"
import { ApiSettings, NotifierSettings, SecretSettings, SourceSettings, StoreSettings, SubscriptionSettings } from "../../services/Settings.ts"
import { SnapshotSettings, type SnapshotSettingsShape } from "../../services/SnapshotSettings.ts"
import type { AppSettings } from "./Resolve.ts"

/** Ranges of a copy that are read and not settled yet. */
const UNSETTLED_RANGES = 4

const copying = ({ chunkBytes, chunksAtOnce, maxConnections, tablesAtOnce }: SnapshotSettingsShape) =>
  ({
    ...copyDefaults, tables: tablesAtOnce, ranges: chunksAtOnce, rangeBytes: chunkBytes, connections: maxConnections,
    unsettledBytes: Math.min(copyDefaults.unsettledBytes, chunkBytes * UNSETTLED_RANGES)
  })

export const layer = (settings: AppSettings): Layer.Layer<SourceSettings | StoreSettings | NotifierSettings | ApiSettings> =>
  Layer.succeedContext(
    Context.make(SourceSettings, settings.source).pipe(
      Context.add(SnapshotSettings, settings.snapshot),
      Context.add(CopySettings, copying(settings.snapshot)),
      Context.add(StoreSettings, settings.store),
      Context.add(SubscriptionSettings, settings.subscriptions),
      Context.add(SecretSettings, settings.secrets),
      Context.add(NotifierSettings, settings.notifier),
      Context.add(DeliveryLogSettings, settings.deliveryLog),
      Context.add(NoticeSettings, settings.notices),
      Context.add(ApiSettings, settings.api),
      Context.add(AddressGuardSettings, settings.guard),
      Context.add(ProxySettings, settings.proxies)
    )
  )

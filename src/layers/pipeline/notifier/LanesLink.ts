/** One opened connection of an endpoint; retired when the endpoint changes, closed when its last request ended. */
import type { EndpointConnection } from "../../../services/WebhookTransport.ts"

export class LanesLink {
  inFlight = 0
  readonly connection: EndpointConnection
  private retired = false
  private readonly close: () => void

  constructor(connection: EndpointConnection, close: () => void) {
    this.connection = connection
    this.close = close
  }

  retire(): void {
    this.retired = true
    if (this.inFlight === 0) this.close()
  }

  ended(): void {
    this.inFlight--
    if (this.retired && this.inFlight === 0) this.close()
  }
}

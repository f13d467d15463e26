import * as WebhookTransportMemory from "../../../src/layers/memory/WebhookTransportMemory.ts"
import { type Arrived, suite } from "../../suites/WebhookTransportSuite.ts"

const arrived: Array<Arrived> = []

suite("memory", { url: "memory:", arrived }, WebhookTransportMemory.layer((_endpoint, request, answer) => {
  arrived.push({
    ...request,
    answer: (status, body) =>
      answer(status >= 200 && status < 300
        ? { _tag: "Accepted", status }
        : { _tag: "Refused", status, retryAfterMs: undefined, bodyStart: body })
  })
}))

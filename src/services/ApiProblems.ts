/** The problem documents (RFC 9457) of the API. `code` is stable and a heading of docs/errors.md. */
import * as HttpApiError from "effect/http-api/HttpApiError"
import * as Schema from "effect/Schema"

const common = <const Code extends string>(code: Code) => ({ code: Schema.tag(code), detail: Schema.String })

/** One field of a request that cannot be used. */
export const FieldProblem = Schema.Struct({
  /** Such as `url` or `event_types[0]`; `""` is the body as a whole. */
  field: Schema.String,
  problem: Schema.String
})

export class InvalidRequest extends HttpApiError.Problem<InvalidRequest>()("InvalidRequest", {
  type: "urn:pgstream:problem:InvalidRequest", status: 400, title: "The request cannot be used"
}, { ...common("InvalidRequest"), errors: Schema.Array(FieldProblem) }) {}

export class Unauthorized extends HttpApiError.Problem<Unauthorized>()("Unauthorized", {
  type: "urn:pgstream:problem:Unauthorized", status: 401, title: "A token is required"
}, common("Unauthorized")) {}

export class NotAllowed extends HttpApiError.Problem<NotAllowed>()("NotAllowed", {
  type: "urn:pgstream:problem:NotAllowed", status: 403, title: "Not from there"
}, common("NotAllowed")) {}

export class ScopeTooSmall extends HttpApiError.Problem<ScopeTooSmall>()("ScopeTooSmall", {
  type: "urn:pgstream:problem:ScopeTooSmall", status: 403, title: "The token may only read"
}, common("ScopeTooSmall")) {}

export class NotSubscribed extends HttpApiError.Problem<NotSubscribed>()("NotSubscribed", {
  type: "urn:pgstream:problem:NotSubscribed", status: 404, title: "No such subscription"
}, common("NotSubscribed")) {}

export class NoSuchSubscription extends HttpApiError.Problem<NoSuchSubscription>()("NoSuchSubscription", {
  type: "urn:pgstream:problem:NoSuchSubscription", status: 404, title: "No such subscription"
}, common("NoSuchSubscription")) {}

export class TooManySubscriptions extends HttpApiError.Problem<TooManySubscriptions>()("TooManySubscriptions", {
  type: "urn:pgstream:problem:TooManySubscriptions", status: 409, title: "As many subscriptions as are allowed"
}, common("TooManySubscriptions")) {}

/** `errors`: the field with the URL. */
export class AddressNotAllowed extends HttpApiError.Problem<AddressNotAllowed>()("AddressNotAllowed", {
  type: "urn:pgstream:problem:AddressNotAllowed", status: 400, title: "Nothing is sent to that address"
}, { ...common("AddressNotAllowed"), errors: Schema.Array(FieldProblem) }) {}

export class NoSuchEndpoint extends HttpApiError.Problem<NoSuchEndpoint>()("NoSuchEndpoint", {
  type: "urn:pgstream:problem:NoSuchEndpoint", status: 404, title: "No such endpoint"
}, common("NoSuchEndpoint")) {}

export class NoSuchDelivery extends HttpApiError.Problem<NoSuchDelivery>()("NoSuchDelivery", {
  type: "urn:pgstream:problem:NoSuchDelivery", status: 404, title: "No such delivery"
}, common("NoSuchDelivery")) {}

export class NoSuchCommand extends HttpApiError.Problem<NoSuchCommand>()("NoSuchCommand", {
  type: "urn:pgstream:problem:NoSuchCommand", status: 404, title: "No such command"
}, common("NoSuchCommand")) {}

export class UrlTaken extends HttpApiError.Problem<UrlTaken>()("UrlTaken", {
  type: "urn:pgstream:problem:UrlTaken", status: 409, title: "Another endpoint has this URL"
}, common("UrlTaken")) {}

export class TooManySecrets extends HttpApiError.Problem<TooManySecrets>()("TooManySecrets", {
  type: "urn:pgstream:problem:TooManySecrets", status: 409, title: "Too many secrets would count at once"
}, common("TooManySecrets")) {}

/** `errors`: the fields that are not stored in the clear. */
export class SecretKeyMissing extends HttpApiError.Problem<SecretKeyMissing>()("SecretKeyMissing", {
  type: "urn:pgstream:problem:SecretKeyMissing", status: 400, title: "PGSTREAM_SECRET_KEY is needed"
}, { ...common("SecretKeyMissing"), errors: Schema.Array(FieldProblem) }) {}

export class SecretKeyUnknown extends HttpApiError.Problem<SecretKeyUnknown>()("SecretKeyUnknown", {
  type: "urn:pgstream:problem:SecretKeyUnknown", status: 409, title: "What is stored does not open"
}, common("SecretKeyUnknown")) {}

export class NoSuchPath extends HttpApiError.Problem<NoSuchPath>()("NoSuchPath", {
  type: "urn:pgstream:problem:NoSuchPath", status: 404, title: "No such path"
}, common("NoSuchPath")) {}

export class NoSuchMethod extends HttpApiError.Problem<NoSuchMethod>()("NoSuchMethod", {
  type: "urn:pgstream:problem:NoSuchMethod", status: 405, title: "Not with this method"
}, common("NoSuchMethod")) {}

export class TooLarge extends HttpApiError.Problem<TooLarge>()("TooLarge", {
  type: "urn:pgstream:problem:TooLarge", status: 413, title: "The body is too large"
}, common("TooLarge")) {}

export class NotJson extends HttpApiError.Problem<NotJson>()("NotJson", {
  type: "urn:pgstream:problem:NotJson", status: 415, title: "Only JSON"
}, common("NotJson")) {}

/** The store cannot be reached now. */
export class StoreUnavailable extends HttpApiError.Problem<StoreUnavailable>()("StoreUnavailable", {
  type: "urn:pgstream:problem:StoreUnavailable", status: 503, title: "The subscription store cannot be reached"
}, common("StoreUnavailable")) {}

/** The store answered with an error: its schema is not as it should be, or a right is missing. */
export class StoreRefused extends HttpApiError.Problem<StoreRefused>()("StoreRefused", {
  type: "urn:pgstream:problem:StoreRefused", status: 500, title: "The subscription store refused"
}, common("StoreRefused")) {}

/** `errors`: the parts of the request that mean nothing in the source. Nothing was requested. */
export class CopyRefused extends HttpApiError.Problem<CopyRefused>()("CopyRefused", {
  type: "urn:pgstream:problem:CopyRefused", status: 400, title: "That cannot be copied"
}, { ...common("CopyRefused"), errors: Schema.Array(FieldProblem) }) {}

export class NoSuchCopy extends HttpApiError.Problem<NoSuchCopy>()("NoSuchCopy", {
  type: "urn:pgstream:problem:NoSuchCopy", status: 404, title: "No such copy"
}, common("NoSuchCopy")) {}

export class CopyIsOver extends HttpApiError.Problem<CopyIsOver>()("CopyIsOver", {
  type: "urn:pgstream:problem:CopyIsOver", status: 409, title: "The copy is over"
}, common("CopyIsOver")) {}

/** The source database cannot be reached now. */
export class SourceUnavailable extends HttpApiError.Problem<SourceUnavailable>()("SourceUnavailable", {
  type: "urn:pgstream:problem:SourceUnavailable", status: 503, title: "The source database cannot be reached"
}, common("SourceUnavailable")) {}

/** The source database answered with an error: our schema is not as it should be, or a right is missing. */
export class SourceRefused extends HttpApiError.Problem<SourceRefused>()("SourceRefused", {
  type: "urn:pgstream:problem:SourceRefused", status: 500, title: "The source database refused"
}, common("SourceRefused")) {}

/** What is refused before a request is read. */
export type Refusal = Unauthorized | NotAllowed | ScopeTooSmall | StoreUnavailable | NoSuchPath | NoSuchMethod | TooLarge | NotJson

/** A fault of ours. */
export class InternalError extends HttpApiError.Problem<InternalError>()("InternalError", {
  type: "urn:pgstream:problem:InternalError", status: 500, title: "The service failed"
}, common("InternalError")) {}

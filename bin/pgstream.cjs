#!/usr/bin/env node
// Old JavaScript on purpose: an old Node must get as far as the sentence below.
"use strict"
/* oxlint-disable no-console */
var parts = process.versions.node.split(".")
if (Number(parts[0]) < 22 || (Number(parts[0]) === 22 && Number(parts[1]) < 19)) {
  console.error("pgstream needs Node 22.19 or newer, this is " + process.versions.node + ": install it from https://nodejs.org (in a clone: npm rebuild node).  NodeTooOld")
  process.exitCode = 4
} else {
  // Host names are resolved in Node's threads, four of them: name servers that hang must not hold up other endpoints.
  if (!process.env.UV_THREADPOOL_SIZE) process.env.UV_THREADPOOL_SIZE = "16"
  // V8's young generation stays small until the stream runs (src/layers/app/limitHeap.ts), unless a size was asked for.
  if (!/semi[-_]space/.test(process.execArgv.concat(process.env.NODE_OPTIONS || "").join(" "))) {
    require("node:v8").setFlagsFromString("--semi-space-growth-factor=1")
  }
  import("../dist/src/main.js").catch(function (error) {
    if (error && error.code === "ERR_MODULE_NOT_FOUND" && /dist.src.main\.js/.test(error.message)) {
      console.error("pgstream is not built: run npm run build, then try again.  NotBuilt")
      process.exitCode = 4
    } else {
      console.error(error)
      process.exitCode = 1
    }
  })
}

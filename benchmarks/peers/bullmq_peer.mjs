// BullMQ on Node. Keeps completed jobs, as it does by default.
//
// The verbs of play.py:  node bullmq_peer.mjs fill|pace JOBS MILLISECONDS | work CONCURRENCY

import { appendFileSync, existsSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { setTimeout as sleep } from 'node:timers/promises'

const require = createRequire(`${process.env.BENCH_NODE}/`)
const { Queue, Worker } = require('bullmq')

const folder = process.env.BENCH_FOLDER
const connection = { path: process.env.BENCH_SOCKET, maxRetriesPerRequest: null }
const seconds = () => (performance.timeOrigin + performance.now()) / 1000

const payload = (ms) => {
  const text = JSON.stringify({ at: seconds().toFixed(6), ms, x: '' })
  return { at: seconds().toFixed(6), ms, x: 'x'.repeat(200 - text.length) }
}

const submitMany = async (queue, payloads) => {
  for (let first = 0; first < payloads.length; first += 250) {
    const some = payloads.slice(first, first + 250)
    await queue.addBulk(some.map((data) => ({ name: 'noop', data })))
  }
}

const fill = async (jobs, ms) => {
  const queue = new Queue('bench', { connection })
  await queue.waitUntilReady()
  const payloads = Array.from({ length: jobs }, () => payload(ms))
  await submitMany(queue, payloads.slice(0, 1))
  const began = seconds()
  await submitMany(queue, payloads.slice(1))
  console.log(seconds() - began)
  await queue.close()
}

const pace = async (jobs, ms) => {
  const queue = new Queue('bench', { connection })
  await queue.waitUntilReady()
  const began = seconds()
  for (let number = 0; number < jobs; number++) {
    const wait = began * 1000 + number * ms - seconds() * 1000
    if (wait > 0) await sleep(wait)
    await queue.add('noop', payload(0))
  }
  console.log(seconds() - began)
  await queue.close()
}

const work = async (concurrency) => {
  if (process.env.BENCH_GATE) {
    writeFileSync(`${folder}/ready-${process.pid}`, '')
    while (!existsSync(`${folder}/gate`)) await sleep(2)
  }
  let marks = []
  const run = async ({ data }) => {
    marks.push(Number(data.at), seconds())
    if (data.ms) await sleep(data.ms)
  }
  // Node can't map files: the marks are written out now and then.
  const write = () => {
    if (!marks.length) return
    appendFileSync(`${folder}/marks-${process.pid}`, Buffer.from(Float64Array.from(marks).buffer))
    marks = []
  }
  const writing = setInterval(write, 50)
  const worker = new Worker('bench', run, { connection, concurrency })
  process.on('SIGTERM', async () => {
    await worker.close()
    clearInterval(writing)
    write()
    process.exit(0)
  })
}

const [verb, ...numbers] = process.argv.slice(2)
await { fill, pace, work }[verb](...numbers.map(Number))

import { createHash } from 'node:crypto'
import { closeSync, fsyncSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { run } from '../../test/e2e/support/process.ts'
import { often } from '../often.ts'
import { seededBytes } from '../seeded-data.ts'
import { type Case, OURS, type Workload } from '../workload.ts'

const MB = 1024 * 1024

export const limits: Workload = {
  id: 'L',
  title: 'what this machine can do at that moment, one thread',
  limit: '-',
  async prepare(bench) {
    const data = seededBytes('limits', bench.scaled(64, 2) * MB)
    const packed = gzipSync(data)
    const file = join(bench.scratch, 'limits')
    return [
      speed('SHA-256', () => void createHash('sha256').update(data).digest(), data.length),
      speed('gzip level 1 (zlib of Node.js)', () => void gzipSync(data, { level: 1 }), data.length),
      speed('gzip level 6 (zlib of Node.js)', () => void gzipSync(data, { level: 6 }), data.length),
      speed('gunzip', () => void gunzipSync(packed), data.length),
      speed('write and fsync', () => writeDurably(file, data), data.length),
      {
        name: 'start of node -e 0',
        metrics: [{ key: 'ms', unit: 'ms', better: 'less' }],
        contenders: [{ name: OURS, run: () => often(bench.quick, () => run(process.execPath, ['-e', '0'])) }],
      },
    ]
  },
}

function speed(name: string, action: () => void, bytes: number): Case {
  return {
    name,
    metrics: [{ key: 'speed', unit: 'MB/s', better: 'more' }],
    contenders: [
      {
        name: OURS,
        async run() {
          const started = performance.now()
          action()
          return { speed: bytes / 1e6 / ((performance.now() - started) / 1000) }
        },
      },
    ],
  }
}

function writeDurably(file: string, data: Uint8Array): void {
  const descriptor = openSync(file, 'w')
  writeSync(descriptor, data)
  fsyncSync(descriptor)
  closeSync(descriptor)
  rmSync(file)
}

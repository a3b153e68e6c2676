import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { type ByteString, byteStringOf } from '../../../src/oci/byte-string.ts'
import type { TarEntry } from '../../../src/oci/tar/entry.ts'
import { BLOCK_BYTES, encodeHeader, type TarHeader } from '../../../src/oci/tar/header.ts'
import { readTar, type TarLimits } from '../../../src/oci/tar/reader.ts'
import { type TarItem, writeTar } from '../../../src/oci/tar/writer.ts'

export const END_OF_ARCHIVE = Buffer.alloc(2 * BLOCK_BYTES)

/** An entry of which a test tells only what matters to it. */
export function entry(path: string, more: Partial<TarEntry> = {}): TarEntry {
  return { type: 'file', path: byteStringOf(path), mode: 0o644, uid: 0, gid: 0, size: 0, mtime: 0, ...more }
}

export function file(path: string, content: string | Buffer = '', more: Partial<TarEntry> = {}): TarItem {
  const body = Buffer.from(content)
  return { entry: entry(path, { size: body.length, ...more }), body }
}

export function directory(path: string, more: Partial<TarEntry> = {}): TarItem {
  return { entry: entry(path, { type: 'directory', mode: 0o755, ...more }) }
}

export function link(path: string, target: string): TarItem {
  return { entry: entry(path, { type: 'link', linkPath: byteStringOf(target) }) }
}

export function symlink(path: string, target: string): TarItem {
  return { entry: entry(path, { type: 'symlink', mode: 0o777, linkPath: byteStringOf(target) }) }
}

export async function tarOf(...items: readonly TarItem[]): Promise<Buffer> {
  return collect(writeTar(items))
}

/** A header block with a right checksum, of any fields; `patch` may spoil it before the checksum is made. */
export function rawHeader(
  fields: Partial<TarHeader> & { name?: string },
  patch?: (block: Buffer) => void,
): Buffer {
  const block = encodeHeader({
    type: '0',
    path: (fields.name ?? 'file') as ByteString,
    linkPath: '' as ByteString,
    mode: 0o644,
    uid: 0,
    gid: 0,
    size: 0,
    mtime: 0,
    deviceMajor: 0,
    deviceMinor: 0,
    ...fields,
  })
  patch?.(block)
  return withChecksum(block)
}

export function withChecksum(block: Buffer): Buffer {
  block.fill(' ', 148, 156)
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return block
}

/** An extended header of this type, such as `x`, with its body. */
export function extension(type: string, body: string | Buffer): Buffer {
  const bytes = Buffer.from(body as string, 'latin1')
  return Buffer.concat([rawHeader({ type, size: bytes.length, name: 'extension' }), padded(bytes)])
}

/** PAX records as they stand in an extended header; values one character per byte. */
export function records(values: Readonly<Record<string, string>>): string {
  return Object.entries(values)
    .map(([key, value]) => {
      const rest = ` ${key}=${value}\n`
      let length = rest.length
      while (String(length).length + rest.length !== length) length = String(length).length + rest.length
      return `${length}${rest}`
    })
    .join('')
}

export function padded(bytes: Buffer): Buffer {
  const over = bytes.length % BLOCK_BYTES
  return over === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(BLOCK_BYTES - over)])
}

export async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = []
  for await (const chunk of chunks) all.push(Buffer.from(chunk))
  return Buffer.concat(all)
}

/** The bytes in chunks of this many. */
export async function* inChunks(
  bytes: Uint8Array,
  size = bytes.length,
): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

export interface ReadEntry {
  readonly entry: TarEntry
  readonly body: Buffer
  readonly bodyOffset: number
}

export async function readAll(
  bytes: Uint8Array,
  limits?: TarLimits,
  chunkSize?: number,
): Promise<ReadEntry[]> {
  const all: ReadEntry[] = []
  for await (const record of readTar(inChunks(bytes, chunkSize), limits))
    all.push({ entry: record.entry, bodyOffset: record.bodyOffset, body: await collect(record.body()) })
  return all
}

/** The standard output of a program that reads the bytes; rejects when it fails. */
export async function pipeThrough(command: readonly string[], input: Uint8Array, env = {}): Promise<Buffer> {
  const [program = '', ...args] = command
  const child = spawn(program, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC', ...env },
  })
  child.stdin.on('error', () => child.stdin.destroy())
  child.stdin.end(input)
  const [output, errors, [code]] = await Promise.all([
    collect(child.stdout),
    collect(child.stderr),
    once(child, 'close'),
  ])
  if (code !== 0) throw new Error(`${command.join(' ')} ended with ${code}: ${errors}`)
  return output
}

/**
 * Whether this machine can run programs of another architecture. The kernel hands them to an emulator that is
 * registered with binfmt_misc by a mask over the first bytes of a program; so we ask of each handler whether it would
 * take a program of that architecture.
 */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isErrno } from '../../oci/errors.ts'
import { formatPlatform, type Platform, parsePlatform } from '../../oci/platform.ts'
import { BuildError } from '../errors.ts'

export const BINFMT_DIRECTORY = '/proc/sys/fs/binfmt_misc'

export interface EmulationOptions {
  readonly hostPlatform: Platform
  /** Where the kernel shows its handlers. */
  readonly directory: string
}

/** @returns a check that throws BuildError `platform-unsupported` with what to install; each platform is looked at once */
export function createPlatformCheck({
  hostPlatform,
  directory,
}: EmulationOptions): (platform: string) => Promise<void> {
  const checked = new Map<string, Promise<boolean>>()
  return async platform => {
    const wanted = parsePlatform(platform, hostPlatform)
    const check = checked.get(platform) ?? canRun(wanted, hostPlatform, directory)
    checked.set(platform, check)
    if (await check) return
    throw new BuildError(
      'platform-unsupported',
      `Cannot run a step for ${platform}: this machine is ${formatPlatform(hostPlatform)}, and has no emulator for programs of ${wanted.architecture}`,
      {
        hint: `install one (Debian, Ubuntu: apt-get install qemu-user-static binfmt-support), or run the step for this machine with FROM --platform=$BUILDPLATFORM and copy its result`,
      },
    )
  }
}

/** Architectures of images whose steps this machine can run: its own, and those that it has an emulator for. */
export async function runnableArchitectures({
  hostPlatform: host,
  directory,
}: EmulationOptions): Promise<readonly string[]> {
  const names = Object.keys(MACHINES)
  const runnable = await Promise.all(
    names.map(architecture => canRun({ os: host.os, architecture }, host, directory)),
  )
  return names.filter((_, index) => runnable[index])
}

/** Architectures whose programs a processor of another runs by itself. */
const COMPATIBLE: Readonly<Record<string, readonly string[]>> = { amd64: ['386'], arm64: ['arm'] }

async function canRun(wanted: Platform, host: Platform, directory: string): Promise<boolean> {
  if (wanted.os !== host.os) return false
  if (wanted.architecture === host.architecture) return true
  if (COMPATIBLE[host.architecture]?.includes(wanted.architecture)) return true
  const program = programStart(wanted.architecture)
  // An architecture that we know too little of to ask: the first run will tell.
  if (program === undefined) return true
  const handlers = await readHandlers(directory)
  return handlers.some(handler => takes(handler, program))
}

/** Word size, byte order and number of the machine in the head of an ELF program. */
const MACHINES: Readonly<Record<string, readonly [bits: 32 | 64, order: 'little' | 'big', machine: number]>> =
  {
    '386': [32, 'little', 0x03],
    amd64: [64, 'little', 0x3e],
    arm: [32, 'little', 0x28],
    arm64: [64, 'little', 0xb7],
    loong64: [64, 'little', 0x102],
    mips: [32, 'big', 0x08],
    mipsle: [32, 'little', 0x08],
    mips64: [64, 'big', 0x08],
    mips64le: [64, 'little', 0x08],
    ppc64: [64, 'big', 0x15],
    ppc64le: [64, 'little', 0x15],
    riscv64: [64, 'little', 0xf3],
    s390x: [64, 'big', 0x16],
  }

/** The first bytes of a program, as far as handlers look at them (ELF, "ELF Header"). */
function programStart(architecture: string): Buffer | undefined {
  const found = Object.hasOwn(MACHINES, architecture) ? MACHINES[architecture] : undefined
  if (found === undefined) return undefined
  const [bits, order, machine] = found
  const head = Buffer.alloc(64)
  head.set([0x7f, 0x45, 0x4c, 0x46, bits === 64 ? 2 : 1, order === 'little' ? 1 : 2, 1])
  const write = (value: number, at: number): number =>
    order === 'little' ? head.writeUInt16LE(value, at) : head.writeUInt16BE(value, at)
  const EXECUTABLE = 2
  write(EXECUTABLE, 16)
  write(machine, 18)
  return head
}

interface Handler {
  readonly offset: number
  readonly magic: Buffer
  /** As long as `magic`, or empty for all bits. */
  readonly mask: Buffer
}

function takes({ offset, magic, mask }: Handler, program: Buffer): boolean {
  if (magic.length === 0 || offset + magic.length > program.length) return false
  return magic.every((byte, at) => {
    const bits = mask[at] ?? 0xff
    return ((program[offset + at] ?? 0) & bits) === (byte & bits)
  })
}

/** Those that are switched on; none where the kernel shows none. */
async function readHandlers(directory: string): Promise<readonly Handler[]> {
  const names = await readdir(directory).catch(noneIfMissing)
  const texts = await Promise.all(
    names
      .filter(name => name !== 'register' && name !== 'status')
      .map(name => readFile(join(directory, name), 'utf8')),
  )
  return texts.filter(text => /^enabled$/m.test(text)).map(parseHandler)
}

function noneIfMissing(error: unknown): string[] {
  if (isErrno(error, 'ENOENT', 'EACCES')) return []
  throw error
}

function parseHandler(text: string): Handler {
  const field = (name: string): string => new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1] ?? ''
  return {
    offset: Number(field('offset') || 0),
    magic: Buffer.from(field('magic'), 'hex'),
    mask: Buffer.from(field('mask'), 'hex'),
  }
}

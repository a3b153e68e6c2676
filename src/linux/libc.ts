/** Functions of libc, through FFI. */
import { LinuxError, LinuxMissingError } from './errors.ts'

/** Text or bytes, which go to the kernel as they are. */
export type Path = string | Uint8Array

/**
 * Whatever keeps the FFI library from being loaded, no call can be made.
 * @throws LinuxMissingError
 */
export async function loadLibc() {
  const { koffi, libc } = await loadLibrary()

  /** Binds a function that returns -1 and sets errno; errors name the argument with the index `subject`. */
  function bind(result: string, name: string, parameters: readonly string[], subject: number, label = name) {
    const call = libc.func(name, result, [...parameters])
    return (...args: readonly (number | Buffer)[]): number => {
      const outcome: number = call(...args)
      if (outcome === -1) throw new LinuxError(label, koffi.errno(), describe(args[subject]))
      return outcome
    }
  }
  return { koffi, libc, bind }
}

async function loadLibrary() {
  try {
    const { default: koffi } = await import('koffi')
    return { koffi, libc: koffi.load('libc.so.6') }
  } catch (error) {
    throw new LinuxMissingError(error)
  }
}

/** @throws LinuxError `EINVAL` for a NUL inside, at which the kernel would silently cut */
export function cString(path: Path): Buffer {
  const bytes = typeof path === 'string' ? Buffer.from(path) : path
  const text = Buffer.allocUnsafe(bytes.length + 1)
  text.set(bytes)
  text[bytes.length] = 0
  if (text.indexOf(0) < bytes.length)
    throw new LinuxError('pass a path with a NUL byte', 22, text.toString('utf8', 0, bytes.length))
  return text
}

function describe(argument: number | Buffer | undefined): string {
  if (!Buffer.isBuffer(argument)) return `descriptor ${argument}`
  return argument.toString('utf8', 0, argument.length - 1)
}

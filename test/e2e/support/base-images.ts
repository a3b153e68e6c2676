import {
  chmod,
  copyFile,
  mkdir,
  mkdtemp,
  realpath,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { succeed } from './process.ts'

const APPLETS = `ash awk cat chgrp chmod chown cp cut date dd df du echo env expr false find grep gunzip gzip head hostname
  httpd id ifconfig install kill link ln ls md5sum mkdir mkfifo mknod mktemp mount mv nc nproc od printenv printf ps pwd
  readlink realpath rm rmdir sed seq sh sha256sum sleep sort stat sync tail tar tee test touch tr true truncate umount
  uname uniq unlink vi wc wget which whoami xargs xxd yes`

/** The tar of a small root filesystem around a static busybox, with users to look up. */
export async function busyboxRootfs(target: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'slipway-busybox-'))
  for (const name of ['bin', 'dev', 'etc', 'home/app', 'proc', 'root', 'sys', 'tmp', 'usr/bin', 'var/log']) {
    await mkdir(join(folder, name), { recursive: true, mode: 0o755 })
  }
  await chmod(folder, 0o755)
  await chmod(join(folder, 'tmp'), 0o1777)
  await chmod(join(folder, 'root'), 0o700)
  await copyFile('/bin/busybox', join(folder, 'bin/busybox'))
  await chmod(join(folder, 'bin/busybox'), 0o755)
  for (const applet of APPLETS.trim().split(/\s+/)) await symlink('busybox', join(folder, 'bin', applet))
  await writeFile(
    join(folder, 'etc/passwd'),
    'root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001:app:/home/app:/bin/sh\nnobody:x:65534:65534::/nonexistent:/bin/false\n',
  )
  await writeFile(join(folder, 'etc/group'), 'root:x:0:\napp:x:1001:\nextra:x:2000:app\nnobody:x:65534:\n')
  await tarOf(folder, target)
  await rm(folder, { recursive: true })
}

/** The tar of a minimal Debian; made once (20 s) and kept among the project's caches. */
export function debianRootfs(): Promise<string> {
  return cached('bookworm-minbase.tar', partial =>
    succeed('mmdebstrap', ['--variant=minbase', '--quiet', '--format=tar', 'bookworm', partial]),
  )
}

/**
 * The root filesystem of a Debian sid with a Docker engine, and with what that calls to build; made once (30 s). A mirror
 * that stands still is good enough, so its Release file may be older than it says.
 */
export function sidEngineRootfs(): Promise<string> {
  const packages =
    'docker.io,docker-cli,docker-buildx,containerd,runc,ca-certificates,iptables,git,openssh-client,xz-utils'
  const stale = '--aptopt=Acquire::Check-Valid-Until "false"'
  return cached('sid-engine', partial =>
    succeed('mmdebstrap', [
      ...['--variant=minbase', '--quiet', '--format=directory', stale, `--include=${packages}`],
      ...['sid', partial],
    ]),
  )
}

/** Whether one of the above was made before, so that asking for it takes no time and no network. */
export function isMade(name: 'bookworm-minbase.tar' | 'sid-engine'): Promise<boolean> {
  return exists(join(CACHE, name))
}

const CACHE = join(import.meta.dirname, '../../../node_modules/.cache/slipway')

/** What was made before, or is made now and appears when it is whole, also beside other test processes. */
async function cached(name: string, make: (partial: string) => Promise<unknown>): Promise<string> {
  await mkdir(CACHE, { recursive: true })
  const kept = join(await realpath(CACHE), name)
  if (await exists(kept)) return kept
  const partial = `${kept}.${process.pid}`
  try {
    await make(partial)
    await rename(partial, kept)
  } catch (error) {
    await rm(partial, { recursive: true, force: true })
    // Another process was faster.
    if (!(await exists(kept))) throw error
  }
  return kept
}

/** A tar of a folder, as root, in a fixed order and with fixed times. */
export async function tarOf(folder: string, target: string): Promise<void> {
  const fixed = [
    '--sort=name',
    '--mtime=@1700000000',
    '--owner=0',
    '--group=0',
    '--numeric-owner',
    '--xattrs',
    '--xattrs-include=*',
  ]
  await succeed('tar', ['-C', folder, ...fixed, '-cf', target, '.'])
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false
    throw error
  }
}

import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { eventually, freePort } from '../../test/e2e/support/containers.ts'
import type { Bench, Peer } from '../bench.ts'

export interface Nginx extends AsyncDisposable {
  /** `127.0.0.1:PORT` */
  readonly host: string
  readonly pid: number
}

/** nginx with `sendfile` over a folder, as its documentation has it for files, with a worker for each core. */
export async function startNginx(bench: Bench, files: string): Promise<Peer<Nginx>> {
  const program = bench.program('nginx')
  if (program.missing !== undefined) return program
  const folder = bench.folder('nginx')
  const port = await freePort()
  const config = join(folder, 'nginx.conf')
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  writeFileSync(
    config,
    `${process.getuid?.() === 0 ? 'user root;' : ''}
worker_processes auto;
pid ${join(folder, 'pid')};
error_log ${join(folder, 'error.log')};
events { worker_connections 1024; }
http {
  access_log off;
  sendfile on;
  sendfile_max_chunk 2m;
  tcp_nopush on;
  keepalive_requests 1000000000;
  ${temporary.map(name => `${name}_temp_path ${join(folder, name)};`).join('\n  ')}
  server { listen 127.0.0.1:${port}; root ${files}; }
}
`,
  )
  const options = ['-p', folder, '-e', join(folder, 'error.log'), '-c', config, '-g', 'daemon off;']
  const child = spawn(program.value, options, { stdio: 'ignore' })
  const ended = new Promise<void>(resolve => child.once('close', () => resolve()))
  const nginx: Nginx = {
    host: `127.0.0.1:${port}`,
    pid: child.pid ?? 0,
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM')
      await ended
    },
  }
  bench.keep(nginx)
  await eventually(() => fetch(`http://${nginx.host}/`), undefined, 10_000)
  return { value: nginx }
}

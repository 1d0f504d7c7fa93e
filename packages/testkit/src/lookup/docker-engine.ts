import { request } from 'node:http'
import { access } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'

const PING_TIMEOUT_MS = 1500

let answer: Promise<boolean> | undefined

/**
 * Whether a container engine answers, asked once per process. It costs milliseconds where there is none:
 * a client program without an engine is common, and loading the container library only to find out is slow.
 */
export function isDockerAvailable(): Promise<boolean> {
  answer ??= anyAnswers(engineAddresses())
  return answer
}

/** Whether any of these sockets (`/path`) or TCP addresses (`host:port`) answers as a container engine. */
export async function anyAnswers(addresses: readonly string[]): Promise<boolean> {
  const answers = await Promise.all(addresses.map(ping))
  return answers.includes(true)
}

function engineAddresses(): readonly string[] {
  const host = process.env['DOCKER_HOST']
  if (host !== undefined && host !== '') return [host.replace(/^[a-z]+:\/\//u, '')]
  const runtimeFolder = process.env['XDG_RUNTIME_DIR'] ?? `/run/user/${process.getuid?.() ?? 0}`
  return [
    '/var/run/docker.sock',
    join(runtimeFolder, 'docker.sock'),
    join(runtimeFolder, 'podman/podman.sock'),
    join(homedir(), '.docker/run/docker.sock'),
    join(homedir(), '.docker/desktop/docker.sock'),
    join(homedir(), '.colima/default/docker.sock'),
  ]
}

async function ping(address: string): Promise<boolean> {
  const isSocket = address.startsWith('/')
  if (
    isSocket &&
    !(await access(address).then(
      () => true,
      () => false,
    ))
  )
    return false
  const [host, port] = address.split(':')
  const target = isSocket ? { socketPath: address } : { host, port }
  return new Promise((resolve) => {
    const signal = AbortSignal.timeout(PING_TIMEOUT_MS)
    const ask = request({ ...target, path: '/_ping', signal }, (response) => {
      response.resume()
      resolve(response.statusCode === 200)
    })
    ask.on('error', () => resolve(false))
    ask.end()
  })
}

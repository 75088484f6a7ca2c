import { execFileSync } from 'node:child_process';
import { REPOSITORY } from './image.ts';

/** Where the alarm articles of this commit are read, when the sources were cloned from a known host. */
export function articlesOfClone(): string | undefined {
  const remote = git('config', '--get', 'remote.origin.url');
  const commit = git('rev-parse', 'HEAD');
  return remote === undefined || commit === undefined ? undefined : articlesAt(remote, commit);
}

/** The folder of the articles on GitHub or GitLab; undefined for a remote of another kind. */
export function articlesAt(remote: string, commit: string): string | undefined {
  const [, host, path] =
    /^(?:https:\/\/|ssh:\/\/git@|git@)(git(?:hub|lab)\.com)[/:](.+?)(?:\.git)?\/?$/.exec(remote) ?? [];
  if (host === undefined || path === undefined) {
    return undefined;
  }
  const blob = host === 'gitlab.com' ? '-/blob' : 'blob';
  return `https://${host}/${path}/${blob}/${commit}/docs/operations`;
}

function git(...args: string[]): string | undefined {
  try {
    const answer = execFileSync('git', args, {
      cwd: REPOSITORY,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return answer.trim() || undefined;
  } catch {
    // Without git, or not a clone: the articles have no address that is known here.
    return undefined;
  }
}

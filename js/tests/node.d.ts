/** What these tests use of Node; the page itself must not, so its types stay out of tsconfig. */
declare module "node:fs" {
  export function readFileSync(path: string, encoding: "utf8"): string;
  export function readdirSync(path: string): string[];
  export function existsSync(path: string): boolean;
}
declare module "node:child_process" {
  export function execFileSync(
    file: string,
    args: string[],
    options: { env: Record<string, string> },
  ): { toString(encoding?: "utf8"): string };
}
declare const process: { env: Record<string, string | undefined> };

import { readFileSync } from "node:fs";

export default readFileSync("src/style.css", "utf8");

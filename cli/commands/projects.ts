import type { Command } from "commander";
import { AdminServiceService, type Project } from "#proto";
import { withConnection } from "../connection.ts";
import { type Column, formatTime, printRows } from "../output.ts";

const COLUMNS: readonly Column<Project>[] = [
  { title: "project", value: (project) => project.id },
  { title: "tenant", value: (project) => project.tenantId },
  { title: "created", value: (project) => formatTime(project.createdAtMs) },
];

export function addProjectsCommand(program: Command): void {
  const projects = program.command("projects").description("parts of a tenant's business, with keys and bills of their own");

  projects
    .command("add <id>")
    .requiredOption("--tenant <id>", "whose project")
    .action((id: string, options: { tenant: string }, command: Command) =>
      withConnection(command, async ({ adminChannel, output, signal }) => {
        const { project } = await adminChannel.unary(AdminServiceService.createProject, { tenantId: options.tenant, id }, { signal });
        printRows(output, project ? [project] : [], COLUMNS);
      }),
    );

  projects
    .command("ls")
    .requiredOption("--tenant <id>", "whose projects")
    .action((options: { tenant: string }, command: Command) =>
      withConnection(command, async ({ adminChannel, output, signal }) => {
        const { projects: listed } = await adminChannel.unary(AdminServiceService.listProjects, { tenantId: options.tenant }, { signal });
        printRows(output, listed, COLUMNS);
      }),
    );
}

using System.Globalization;
using System.Text.Json.Nodes;
using Spectral.Cli.Hosting;
using Spectral.Cli.Output;

namespace Spectral.Cli.Register;

/// <summary><c>spectral methods --register</c>: the published systems, and what of each there is.</summary>
internal static class RegisterList
{
    private static readonly string[] Columns = ["row", "system", "there", "as", "remark"];

    /// <summary>Prints all systems, and how many are there, in part and missing.</summary>
    public static void Print(CommandContext context)
    {
        IReadOnlyList<RegisteredSystem> systems = SystemRegister.All;
        var result = new JsonObject
        {
            ["systems"] = new JsonArray([.. systems.Select(system => (JsonNode)ToJson(system))]),
        };
        foreach (SystemState state in Enum.GetValues<SystemState>())
            result[Name(state).Replace(' ', '_')] = Count(systems, state);
        context.Finish(
            result,
            terminal =>
            {
                terminal.Table(Columns, [.. systems.Select(Row)], textFrom: 1);
                terminal.Line(
                    $"{Count(systems, SystemState.Present)} systems are there, {Count(systems, SystemState.InPart)} in "
                        + $"part, {Count(systems, SystemState.Missing)} missing"
                );
            }
        );
    }

    private static int Count(IReadOnlyList<RegisteredSystem> systems, SystemState state) =>
        systems.Count(system => system.State == state);

    private static string[] Row(RegisteredSystem system) =>
        [
            system.Number?.ToString(CultureInfo.InvariantCulture) ?? "",
            system.Name,
            Name(system.State),
            string.Join(", ", system.Where),
            system.Remark,
        ];

    private static JsonObject ToJson(RegisteredSystem system) =>
        new()
        {
            ["row"] = system.Number,
            ["system"] = system.Name,
            ["state"] = Name(system.State),
            ["as"] = JsonOutput.Array(system.Where),
            ["remark"] = system.Remark,
        };

    private static string Name(SystemState state) =>
        state switch
        {
            SystemState.Present => "present",
            SystemState.InPart => "in part",
            _ => "missing",
        };
}

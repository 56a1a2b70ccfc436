using System.Globalization;
using System.Text.Json.Nodes;
using Spectral.Cli.Output;

namespace Spectral.Cli.Spectra;

/// <summary>
/// What the script needs of an analysis, under the same names: four digits instead of ten, and of long profiles the
/// positions that a screen can
/// show. A page of hundreds of matrices stays below a megabyte, where the whole object has tens.
/// </summary>
internal static class SpectraPageData
{
    // Numbers of all profiles together, about seven bytes each.
    private const int MostNumbers = 20_000;
    private const int ProfilesOfAMatrix = 7;
    private const int LeastPositions = 24;
    private const int MostPositions = 160;
    private const int MostAngles = 20;
    private const int MostIntruders = 40;
    private const int MostClusters = 50;

    /// <param name="analysis">The object that <c>--json</c> prints.</param>
    public static JsonObject Of(JsonObject analysis)
    {
        JsonArray matrices = analysis["matrices"]!.AsArray();
        int most = Math.Clamp(
            MostNumbers / ProfilesOfAMatrix / Math.Max(1, matrices.Count),
            LeastPositions,
            MostPositions
        );
        return new JsonObject
        {
            ["settings"] = Short(analysis["settings"]),
            ["model"] = Pick(analysis["model"]!, "profile", "intruders"),
            ["modules"] = new JsonArray([
                .. analysis["modules"]!.AsArray().Select(module => (JsonNode)Pick(module!, "module", "profile")),
            ]),
            ["matrices"] = new JsonArray([.. matrices.Select(matrix => (JsonNode)Matrix(matrix!, most))]),
        };
    }

    private static JsonObject Matrix(JsonNode matrix, int most)
    {
        JsonObject picked = Pick(
            matrix,
            "name",
            "module",
            "layer",
            "out",
            "in",
            "top_k",
            "amplification",
            "energy",
            "ranks",
            "entries",
            "verdict"
        );
        int[] positions = Positions(matrix["values"]!["base"]!.AsArray().Count, most);
        picked["svd"] = Pick(matrix["svd"]!, "method", "computed", "truncated");
        picked["norms"] = Pick(matrix["norms"]!, "relative");
        picked["positions"] = JsonOutput.Array(positions.Select(position => position + 1));
        picked["values"] = Profiles(matrix["values"]!, positions, "base", "tuned", "relative");
        JsonObject vectors = Profiles(
            matrix["vectors"]!,
            positions,
            "matched_left",
            "matched_right",
            "best_left",
            "best_right"
        );
        vectors["clusters"] = new JsonArray([
            .. matrix["vectors"]!["clusters"]!.AsArray().Take(MostClusters).Select(Short),
        ]);
        picked["vectors"] = vectors;
        picked["subspaces"] = new JsonArray([
            .. matrix["subspaces"]!
                .AsArray()
                .Where(space => !(bool)space!["bottom"]!)
                .Select(space => (JsonNode)Subspace(space!)),
        ]);
        picked["intruders"] = new JsonObject
        {
            ["searched"] = (int)matrix["intruders"]!["searched"]!,
            ["counts"] = new JsonArray([
                .. matrix["intruders"]!["counts"]!
                    .AsArray()
                    .Select(count =>
                    {
                        JsonObject kept = Pick(count!, "threshold", "left", "right");
                        foreach (string side in new[] { "left_positions", "right_positions" })
                            kept[side] = new JsonArray([.. count![side]!.AsArray().Take(MostIntruders).Select(Short)]);
                        return (JsonNode)kept;
                    }),
            ]),
        };
        picked["null"] = new JsonArray([
            .. matrix["null"]!["comparisons"]!
                .AsArray()
                .Where(comparison => (string?)comparison!["quantity"] == "relative")
                .Select(comparison => (JsonNode)Pick(comparison!, "quantity", "bin", "gaussian", "floor")),
        ]);
        picked["bins"] = new JsonArray([
            .. matrix["bins"]!.AsArray().Select(bin => (JsonNode)Pick(bin!, "bin", "from", "to")),
        ]);
        return picked;
    }

    private static JsonObject Subspace(JsonNode space)
    {
        int angles = space["left"]!["angles"]!.AsArray().Count;
        int most = Math.Min(angles, MostAngles);
        int[] chosen =
        [
            .. Enumerable.Range(0, most).Select(i => most == 1 ? 0 : (int)((long)i * (angles - 1) / (most - 1))),
        ];
        JsonObject picked = Pick(space, "k");
        picked["positions"] = JsonOutput.Array(chosen.Select(position => position + 1));
        foreach (string side in new[] { "left", "right" })
        {
            JsonObject kept = Pick(space[side]!, "largest", "similarity");
            kept["angles"] = new JsonArray([.. chosen.Select(position => Short(space[side]!["angles"]![position]))]);
            picked[side] = kept;
        }
        return picked;
    }

    private static JsonObject Profiles(JsonNode from, int[] positions, params string[] keys)
    {
        var picked = new JsonObject();
        foreach (string key in keys)
            picked[key] = new JsonArray([.. positions.Select(position => Short(from[key]![position]))]);
        return picked;
    }

    /// <summary>All of a short profile; of a long one the first, the last and others at equal ratios between.</summary>
    private static int[] Positions(int length, int most) =>
        length <= most
            ? [.. Enumerable.Range(0, length)]
            :
            [
                .. Enumerable
                    .Range(0, most)
                    .Select(i => Math.Max(i, (int)Math.Round(Math.Pow(length, i / (most - 1.0))) - 1))
                    .Distinct(),
            ];

    private static JsonObject Pick(JsonNode from, params string[] keys)
    {
        var picked = new JsonObject();
        foreach (string key in keys)
            picked[key] = Short(from[key]);
        return picked;
    }

    private static JsonNode? Short(JsonNode? node) =>
        node switch
        {
            JsonObject members => new JsonObject(
                members.Select(member => KeyValuePair.Create(member.Key, Short(member.Value)))
            ),
            JsonArray items => new JsonArray([.. items.Select(Short)]),
            JsonValue value when value.TryGetValue(out double number) => JsonValue.Create(
                double.Parse(number.ToString("G4", CultureInfo.InvariantCulture), CultureInfo.InvariantCulture)
            ),
            _ => node?.DeepClone(),
        };
}

using System.Text.Json.Nodes;
using Spectral.Training.IO;
using Spectral.Training.Routing;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Routing;

/// <summary>The description and the queries of a folder of experts, and what can be wrong with them.</summary>
public sealed class ExpertFolderTests : FolderTest
{
    private const string Description = "experts.json";
    private const string Queries = "queries.safetensors";

    [SetUp]
    public void WriteExperts() =>
        ExpertFolder.Write(
            folder.Path,
            "auto-flexswitch",
            3,
            [
                (
                    "a/one",
                    "expert-1",
                    [
                        [1, 2, 3],
                        [4, 5, 6],
                    ]
                ),
                (
                    "b/two",
                    "expert-2",
                    [
                        [7, 8, 9],
                    ]
                ),
            ]
        );

    [Test]
    public void ExpertsAreInOrderWithTheirFolders()
    {
        Assert.That(ExpertFolder.IsOne(folder.Path));
        Assert.That(
            ExpertFolder.Open(folder.Path).Experts,
            Is.EqualTo(
                new Expert[]
                {
                    new("a/one", Path.Combine(folder.Path, "expert-1")),
                    new("b/two", Path.Combine(folder.Path, "expert-2")),
                }
            )
        );
        File.Delete(folder.File(Queries));
        Assert.That(!ExpertFolder.IsOne(folder.Path));
    }

    private static readonly object?[][] Wrong =
    [
        ["format_version", 2, "format_version 2, expected 1"],
        ["format_version", null, "format_version is missing"],
        ["neighbours", 0, "neighbours is 0, expected a whole number from 1 to 3"],
        ["neighbours", 4, "neighbours is 4, expected a whole number from 1 to 3"],
        ["experts", null, "experts is missing"],
        ["experts", "[]", "experts is an array of 0, expected an array of experts"],
        ["experts", """[{"name":"a"}]""", "experts[0].folder is missing"],
        ["experts", """[{"folder":"expert-1"}]""", "experts[0].name is missing"],
        ["experts", """[{"name":"a","folder":"../x"}]""", "experts[0].folder is the string '../x'"],
        ["experts", """[{"name":"a","folder":"expert-3"}]""", "'expert-3'"],
        [
            "experts",
            """[{"name":"a","folder":"expert-1"},{"name":"b","folder":"expert-1"}]""",
            "experts[1].folder is the string 'expert-1', expected the name of a folder of its own",
        ],
    ];

    [TestCaseSource(nameof(Wrong))]
    public void AWrongDescriptionIsRefused(string key, object? value, string named)
    {
        JsonObject json = JsonNode.Parse(File.ReadAllText(folder.File(Description)))!.AsObject();
        json[key] = value is string text ? JsonNode.Parse(text) : JsonValue.Create((int?)value);
        File.WriteAllText(folder.File(Description), json.ToJsonString());
        Refuses(named);
    }

    [TestCase(new long[] { 3 }, "[3], expected F32 [queries, features]")]
    [TestCase(new long[] { 0, 3 }, "[0, 3], expected F32 [queries, features]")]
    [TestCase(new long[] { 2, 0 }, "[2, 0], expected F32 [queries, features]")]
    [TestCase(new long[] { 2, 2 }, "'expert-2' is F32 [1, 3], expected F32 [queries, 2]")]
    public void QueriesOfAnotherShapeAreRefused(long[] shape, string named)
    {
        WriteQueries(TinyModel.Numbered("expert-1", shape), TinyModel.Numbered("expert-2", [1, 3]));
        Refuses(named);
    }

    [Test]
    public void OtherQueriesAreRefused()
    {
        WriteQueries(
            TinyModel.Numbered("expert-1", [2, 3], 1, StoredType.BF16),
            TinyModel.Numbered("expert-2", [1, 3])
        );
        Refuses("'expert-1' is BF16 [2, 3]");
        byte[] nan = [.. BitConverter.GetBytes(1f), .. BitConverter.GetBytes(float.NaN)];
        WriteQueries(new TensorToWrite("expert-1", StoredType.F32, [1, 2], stream => stream.Write(nan)));
        Refuses("'expert-1' holds NaN at [0, 1]");
    }

    private void WriteQueries(params TensorToWrite[] tensors) => SafetensorsWriter.Write(folder.File(Queries), tensors);

    private void Refuses(string named) =>
        Assert.That(
            () => ExpertFolder.Open(folder.Path),
            Throws.TypeOf<InputException>().With.Message.Contains(named).And.Message.Contains(folder.Path)
        );
}

using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class AdapterSizeTests(DeviceKind kind) : TrainingTest(kind)
{
    // Beyond the smaller dimension of the widest layer a rank adds nothing.
    private const int Full = 12;

    private static readonly AdapterOptions Options = new()
    {
        InvocationTokens = [3],
        Rank = 4,
        Alpha = 8,
        TopK = 2,
    };

    private static IReadOnlyList<ModuleShape> Layers => AdapterTargets.Of(TinyModels.Llama, Options);

    [TestCaseSource(nameof(Methods))]
    public void TheNumberIsThatOfAnAttachedAdapter(string method)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));
        using Adapter adapter = TestAdapters.Attach(model, AdapterMethods.Find(method), Options);
        Assert.That(
            AdapterSize.Trainable(adapter.Method, Layers, Options),
            Is.EqualTo(adapter.TrainableCount).Within(Tolerance(method)).Percent
        );
    }

    /// <summary>
    /// Two methods share their rank out by data, one of them in blocks of up to 12 × 12 entries, which differ by layer.
    /// </summary>
    private static long Tolerance(string method) =>
        method switch
        {
            "eva" => 2,
            "smt" => 100,
            _ => 0,
        };

    [Test]
    public void NoOtherRankComesNearer(
        [ValueSource(nameof(Methods))] string method,
        [Values(1, 300, 1000, 5000, 1_000_000)] long wanted
    )
    {
        AdapterMethod found = AdapterMethods.Find(method);
        AdapterOptions chosen = AdapterSize.WithTrainable(found, Layers, Options, wanted);
        long Distance(AdapterOptions options) => Math.Abs(AdapterSize.Trainable(found, Layers, options) - wanted);
        var distances = new List<long>();
        for (int rank = 0; rank <= Full; rank++)
        {
            try
            {
                distances.Add(Distance(Options with { Rank = rank }));
            }
            catch (InputException)
            {
                // Not a rank of this method.
            }
        }
        Assert.That(Distance(chosen), Is.EqualTo(distances.Min()));
        Assert.That(
            chosen.Alpha * Options.Rank,
            Is.EqualTo(Options.Alpha * (chosen.Rank == 0 ? Options.Rank : chosen.Rank)).Within(1e-12),
            "the scale stays"
        );
    }

    private static string[] Methods() => TestAdapters.LayerMethods;
}

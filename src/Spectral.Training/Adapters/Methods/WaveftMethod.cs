using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// WaveFT: coefficients of one level of a wavelet transform. Each makes a wave in rows times one in columns, so that n
/// of them form a core of rank n with frozen factors. The locations are those that PEFT draws, and so is its order of
/// the quadrants: in that right of the smooth one, rows have the detail filter and columns the smooth one.
/// </summary>
internal sealed class WaveftMethod : AdapterMethod
{
    private const string Count = "n-frequency";
    private const string Scaling = "scaling";
    private const string Family = "wavelet";
    private const string Transforms = "use-idwt";
    private const string Proportional = "proportional";

    public override string Name => "waveft";
    public override string Formula => "W + scaling·idwt2(F), F zero except for n trained coefficients at random places";
    public override string Source => "Bilican et al., 2025, arXiv 2505.12532";
    public override string Use =>
        "Like fourierft, with changes that are local in the weight: n numbers a layer, a core of rank n up to n = 512. "
        + "Beyond, the weight is recomputed each step.";
    public override IReadOnlyList<PeftField>? PeftFields { get; } =
    [PeftField.Bias("waveft_only"), PeftField.FanInFanOut, PeftField.Start("init_weights")];

    public override IReadOnlyList<AdapterSetting> Settings =>
        [
            AdapterSetting.Whole(
                Count,
                2592,
                1,
                1 << 20,
                "Number n of coefficients, at most the number of elements of the weight."
            ) with
            {
                PeftKey = "n_frequency",
                PeftPatternKey = "n_frequency_pattern",
            },
            new(Scaling, 25, -1e9, 1e9, "Factor of the change.") { PeftKey = "scaling" },
            AdapterSetting.Choice(Family, "The wavelet, by Daubechies.", Wavelets.Names) with
            {
                PeftKey = "wavelet_family",
            },
            AdapterSetting.Switch(Transforms, true, "Transform; off: the coefficients are entries of the change.") with
            {
                PeftKey = "use_idwt",
            },
            AdapterSetting.Switch(
                Proportional,
                false,
                "Share out n times the number of layers in proportion to the layers' sizes."
            ) with
            {
                PeftKey = "proportional_parameters",
            },
            Frequencies.SeedSetting with
            {
                PeftKey = "random_loc_seed",
            },
        ];

    /// <inheritdoc/>
    public override AdapterOptions Fit(AdapterOptions options, ModuleShape module, IReadOnlyList<ModuleShape> all) =>
        options.Setting(this, Proportional) != 0
            ? options
            : options.With(Count, Math.Min(options.Setting(this, Count), (double)module.Out * module.In));

    public override AdapterForm Form(AdapterBuilder layer)
    {
        (int rows, int columns) = (layer.Out, layer.In);
        int n = (int)Math.Min(Wanted(layer), (double)rows * columns);
        Factor c = layer.Trained("waveft_spectrum", n);
        (Expression left, Expression right) = layer.IsOn(Transforms)
            ? Waves(layer, c, n)
            : Frequencies.Tables(layer, c, n, 1, "entries", (_, p, i) => p == i ? 1 : 0, (_, q, j) => q == j ? 1 : 0);
        return Frequencies.Form(layer, left, c, right, layer.Setting(Scaling));
    }

    private static (Expression Left, Expression Right) Waves(AdapterBuilder layer, Factor c, int n)
    {
        string filter = layer.Choice(Family);
        (int high, int wide) = (
            Wavelets.Coefficients(filter, layer.Out) / 2,
            Wavelets.Coefficients(filter, layer.In) / 2
        );
        // The drawn locations are in the middle of the coefficients.
        (int above, int before) = ((2 * high - layer.Out) / 2, (2 * wide - layer.In) / 2);
        return Frequencies.Tables(
            layer,
            c,
            n,
            1,
            filter,
            (_, p, i) => Wavelets.Share(filter, p % high, p >= high, i),
            (_, q, j) => Wavelets.Share(filter, q % wide, q >= wide, j),
            (p, q) =>
                (
                    (p + above) % high + (q + before >= wide ? high : 0),
                    (q + before) % wide + (p + above >= high ? wide : 0)
                )
        );
    }

    private static double Wanted(AdapterBuilder layer)
    {
        double count = layer.Setting(Count);
        if (!layer.IsOn(Proportional))
            return count;
        double all = layer.AllModules.Sum(module => (double)module.Out * module.In);
        double share = (double)layer.Out * layer.In / all;
        return Math.Max(1, Math.Round(share * (count * layer.AllModules.Count), MidpointRounding.ToEven));
    }
}

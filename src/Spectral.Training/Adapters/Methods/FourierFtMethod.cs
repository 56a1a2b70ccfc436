using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// FourierFT: <c>Re ifft2(F) = cos·cosᵀ − sin·sinᵀ</c> over the locations with a coefficient, so that n of them form a
/// core of rank 2n with frozen factors. The locations are those that PEFT draws.
/// </summary>
internal sealed class FourierFtMethod : AdapterMethod
{
    private const string Count = "n-frequency";
    private const string Scaling = "scaling";
    private const string Init = "start";

    public override string Name => "fourierft";
    public override string Formula =>
        "W + scaling·Re(ifft2(F)), F zero except for n trained coefficients at random places";
    public override string Source => "Gao et al., 2024, arXiv 2405.03003";
    public override IReadOnlyList<PeftField>? PeftFields { get; } =
    [
        PeftField.Bias("fourier_only"),
        PeftField.FanInFanOut,
        PeftField.Start("init_weights"),
        .. PeftField.Unsupported("alpha"),
    ];
    public override string Use =>
        "n numbers a layer of any size. Up to n = 256 they form a core of rank 2n. Beyond, the "
        + "weight is recomputed each step, and its gradient costs as much as in full fine-tuning.";

    public override IReadOnlyList<AdapterSetting> Settings =>
        [
            AdapterSetting.Whole(
                Count,
                1000,
                1,
                1 << 20,
                "Number n of coefficients, at most the number of elements of the weight."
            ) with
            {
                PeftKey = "n_frequency",
                PeftPatternKey = "n_frequency_pattern",
            },
            new(Scaling, 150, -1e9, 1e9, "Factor of the change.") { PeftKey = "scaling" },
            Frequencies.SeedSetting with
            {
                PeftKey = "random_loc_seed",
            },
            AdapterSetting.Choice(
                Init,
                "Start values of the coefficients: zeros, or N(0, 1) as published, which changes the weight.",
                "zeros",
                "normal"
            ),
        ];

    /// <inheritdoc/>
    public override AdapterOptions Fit(AdapterOptions options, ModuleShape module, IReadOnlyList<ModuleShape> all) =>
        options.With(Count, Math.Min(options.Setting(this, Count), (double)module.Out * module.In));

    public override AdapterForm Form(AdapterBuilder layer)
    {
        (int rows, int columns) = (layer.Out, layer.In);
        int n = (int)Math.Min(layer.Setting(Count), (double)rows * columns);
        Factor c = layer.Trained(
            "fourierft_spectrum",
            n,
            layer.Choice(Init) == "normal" ? Start.Normal(1) : Start.Zeros
        );
        (Expression left, Expression right) = Frequencies.Tables(
            layer,
            c,
            n,
            2,
            "Fourier",
            (part, p, i) => Wave(part, p, i, rows),
            (part, q, j) => part == 0 ? Wave(0, q, j, columns) : -Wave(1, q, j, columns)
        );
        return Frequencies.Form(
            layer,
            left,
            c.Repeat(2).Reshape(2 * n),
            right,
            layer.Setting(Scaling) / ((double)rows * columns)
        );
    }

    /// <summary>
    /// Returns the cosine (part 0) or sine (part 1) of 2π·k·i/n, with whole turns removed first for precision.
    /// </summary>
    private static float Wave(int part, int k, int i, int n)
    {
        double angle = 2 * Math.PI * ((long)k * i % n) / n;
        return (float)(part == 0 ? Math.Cos(angle) : Math.Sin(angle));
    }
}

using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.IO;

namespace Spectral.Training.Adapters.Building;

/// <summary>
/// Computes rotations from skew-symmetric matrices, as OFT and PSOFT do: by Cayley's formula, or by the series that
/// PEFT offers instead.
/// </summary>
internal static class CayleyRotation
{
    private const string Neumann = "cayley-neumann";
    private const string Terms = "neumann-terms";

    /// <summary>Creates the settings that choose between the two, under PEFT's keys.</summary>
    /// <param name="neumann">Whether the series is the default.</param>
    /// <param name="opposite">The same as for <see cref="Trained"/>.</param>
    public static IReadOnlyList<AdapterSetting> Settings(bool neumann, bool opposite = false) =>
        [
            AdapterSetting.Switch(
                Neumann,
                neumann,
                $"Use a series instead of the inverse. It {(opposite ? "" : "turns the opposite way and ")}"
                    + "is only approximately a rotation."
            ) with
            {
                PeftKey = "use_cayley_neumann",
            },
            AdapterSetting.Whole(Terms, 5, 3, 100, "Number of terms of that series; 3 and 4 give the same.") with
            {
                PeftKey = "num_cayley_neumann_terms",
            },
        ];

    /// <summary>Returns whether the options of a method with these settings choose the series.</summary>
    public static bool IsSeries(AdapterMethod method, AdapterOptions options) =>
        method.Settings.First(setting => setting.Name == Neumann).Describe(options.Setting(method, Neumann)) == "on";

    /// <summary>
    /// Declares trained upper triangles [b, n(n − 1)/2] and returns rotations [b, n, n] as the method's settings say.
    /// They begin as the identity.
    /// </summary>
    /// <param name="layer">The builder of the layer's form.</param>
    /// <param name="name">The name of the trained tensor.</param>
    /// <param name="triangles">The shape of the trained tensor.</param>
    /// <param name="n">The order of the rotations.</param>
    /// <param name="setting">The setting that the order comes from, for messages.</param>
    /// <param name="opposite">Whether Cayley's formula turns in the direction of the series.</param>
    /// <param name="longest">
    /// The largest Frobenius norm of a skew-symmetric matrix. Longer ones are scaled down to it.
    /// </param>
    /// <param name="twiceTheLast">Whether the last term of the series counts twice.</param>
    /// <exception cref="InputException">n is below 2, or too large for the inverse.</exception>
    public static Expression Trained(
        AdapterBuilder layer,
        string name,
        Shape triangles,
        int n,
        string setting,
        bool opposite = false,
        double? longest = null,
        bool twiceTheLast = false
    )
    {
        bool exact = !layer.IsOn(Neumann);
        CheckOrder(layer, n, setting, exact);
        int rotations = triangles.Rank == 1 ? 1 : triangles[0];
        Expression upper = layer.Trained(name, triangles).Reshape((rotations, n * (n - 1) / 2));
        // The norm of the matrix is √2 times that of its triangle. A triangle within the bound is divided by the bound
        // and multiplied by it again.
        double? bound = longest / Math.Sqrt(2);
        if (bound is { } most)
            upper = upper.ScaleRows(upper.Norm(Broadcast.PerRow, most).Reciprocal()).Scale(most);
        Expression skew = upper.SkewSymmetric(n);
        return exact ? skew.Cayley(opposite) : skew.Neumann((int)layer.Setting(Terms), twiceTheLast);
    }

    /// <summary>
    /// Checks that the order of the rotations is at least 2 and, where they are inverted, not too large.
    /// </summary>
    /// <exception cref="InputException">The order is outside that range.</exception>
    public static void CheckOrder(AdapterBuilder layer, int n, string setting, bool inverts)
    {
        if (n < 2 || (inverts && n > MatrixInverse.MaxOrder))
        {
            throw new InputException(
                $"{setting} {n} for {layer.Module.Name}, which is [{layer.Out}, {layer.In}]: "
                    + $"{layer.Method.Name} makes rotations, expected 2 or more"
                    + (inverts ? $" and, with Cayley's formula, up to {MatrixInverse.MaxOrder}" : "")
            );
        }
    }
}

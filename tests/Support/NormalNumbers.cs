namespace Spectral.Tests.Support;

/// <summary>Draws normal random numbers from a <see cref="Random"/>.</summary>
internal static class NormalNumbers
{
    /// <summary>Draws a standard normal number by the method of Box and Muller (1958), from two uniform ones.</summary>
    public static double NextNormal(this Random random) =>
        Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
}
